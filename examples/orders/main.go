// Command orders is a service of ordinary size: orders, accounts that pay for them, two read models, and mails.
//
//	DATABASE_URL=postgres://... go run ./examples/orders
//
// It carries out a few commands, shows the read models, and ends. README.md says what is where.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Getenv("DATABASE_URL"))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dsn string) error {
	if dsn == "" {
		return errors.New("DATABASE_URL is empty: set it to a database that may be filled with events")
	}
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	s, err := newService(pool, printer{})
	if err != nil {
		return err
	}
	return demonstrate(ctx, s, pool)
}
