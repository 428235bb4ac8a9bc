package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// runExample calls an example with an empty database of its own, and shows its error as output. Examples have no
// testing.TB, so what setup does for tests is not for them.
func runExample(example func(context.Context, *pgxpool.Pool) error) {
	if err := withExampleDatabase(example); err != nil {
		fmt.Println("error:", err)
	}
}

func withExampleDatabase(example func(context.Context, *pgxpool.Pool) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	admin, err := pgx.Connect(ctx, server.DSN(""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, admin.Close(ctx)) }()
	name := "example_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0"); err != nil {
		return err
	}
	defer func() {
		_, dropErr := admin.Exec(ctx, "DROP DATABASE "+name)
		err = errors.Join(err, dropErr)
	}()
	pool, err := pgxpool.New(ctx, server.DSN(name))
	if err != nil {
		return err
	}
	defer pool.Close()
	return example(ctx, pool)
}
