package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/exampledb"
	"github.com/gaplesspg/gapless/internal/pgserver"
)

// What the README shows is what the program prints: nobody gets an order of another tenant, and what is another's looks as what does
// not exist.
func TestTenantsGetTheirOwnOrders(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	database, err := exampledb.Open(ctx, "", fmt.Sprintf("tenants_%d", os.Getpid()), pgserver.Options{Log: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Stop()) })
	var out bytes.Buffer
	require.NoError(t, start(ctx, database.DSN, &out))
	require.Equal(t, `key-of-acme: POST /orders/order-acme-1 -> 201 
key-of-rival: POST /orders/order-rival-1 -> 201 
key-of-acme: GET /orders -> 200 order-acme-1
key-of-rival: GET /orders -> 200 order-rival-1
key-of-acme: GET /orders/order-rival-1 -> 404 no such order
key-of-acme: GET /orders/order-nobody-1 -> 404 no such order
key-of-acme: POST /orders/order-rival-1 -> 409 choose another id
key-of-nobody: GET /orders -> 401 who are you?
`, out.String())
}
