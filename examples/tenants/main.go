// Command tenants is a service of many tenants over HTTP: who calls says by a key for which tenant, and sees the orders of that tenant
// alone. README.md says what to copy.
//
//	go run ./examples/tenants
//	go run ./examples/tenants -dsn DSN   uses a database of yours
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/exampledb"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

func main() {
	dsn := flag.String("dsn", os.Getenv(exampledb.EnvDSN), "database to use; default: one of its own")
	flag.Parse()
	if err := start(context.Background(), *dsn, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tenants:", err)
		os.Exit(1)
	}
}

// start opens the database, runs the service, and calls it as two tenants.
func start(ctx context.Context, dsn string, out io.Writer) error {
	database, err := exampledb.Open(ctx, dsn, "gapless_tenants", pgserver.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { _ = database.Stop() }()
	pool, err := pgxpool.New(ctx, database.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	server := httptest.NewServer(newService(repo, map[string]eventstream.TenantID{"key-of-acme": "acme", "key-of-rival": "rival"}))
	defer server.Close()
	return tour(ctx, server.URL, out)
}

// tour calls the service as its clients do, and prints what they get.
func tour(ctx context.Context, url string, out io.Writer) error {
	for _, call := range []struct{ key, method, path string }{
		{"key-of-acme", http.MethodPost, "/orders/order-acme-1"},
		{"key-of-rival", http.MethodPost, "/orders/order-rival-1"},
		{"key-of-acme", http.MethodGet, "/orders"},
		{"key-of-rival", http.MethodGet, "/orders"},
		{"key-of-acme", http.MethodGet, "/orders/order-rival-1"},
		{"key-of-acme", http.MethodGet, "/orders/order-nobody-1"},
		{"key-of-acme", http.MethodPost, "/orders/order-rival-1"},
		{"key-of-nobody", http.MethodGet, "/orders"},
	} {
		request, err := http.NewRequestWithContext(ctx, call.method, url+call.path, nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+call.key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s %s -> %d %s\n", call.key, call.method, call.path, response.StatusCode, strings.TrimSpace(string(body)))
	}
	return nil
}
