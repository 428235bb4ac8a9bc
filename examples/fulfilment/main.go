// Command fulfilment runs a shop: orders that are paid or cancelled, packed in time or late, and shipped, by a process with timers, and a board
// of all orders that is rebuilt while the shop is open.
//
//	go run ./examples/fulfilment
//	go run ./examples/fulfilment -orders 500
//	go run ./examples/fulfilment -dsn DSN   uses a database of yours; a second run has more orders
//
// README.md says what is where.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/internal/exampledb"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// databaseName is created where no database is given.
const databaseName = "gapless_fulfilment"

// settleTakes is how long the orders may take that are on their way when the shop closes.
const settleTakes = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	dsn := flag.String("dsn", os.Getenv(exampledb.EnvDSN), "`database` to use, or "+exampledb.EnvDSN+"; else one is started")
	orders := flag.Int("orders", 100, "number of orders")
	flag.Parse()
	err := run(ctx, *dsn, *orders, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fulfilment:", err)
		os.Exit(1)
	}
}

// run opens the shop for so many orders.
func run(ctx context.Context, dsn string, orders int, out io.Writer) (err error) {
	if orders < 2 {
		return fmt.Errorf("-orders %d: must be 2 or more", orders)
	}
	database, err := exampledb.Open(ctx, dsn, databaseName, pgserver.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Stop()) }()
	pool, err := pgxpool.New(ctx, database.DSN)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	s, err := newShop(pool, patience{payment: 2 * time.Second, packing: time.Second})
	if err != nil {
		return err
	}
	return s.day(ctx, orders, out)
}

// errWrong says that the shop has lost an order, or shows one wrongly.
var errWrong = errors.New("the board is not what the events say")

// day opens the shop, trades, waits for the last order, and closes.
func (s *shop) day(ctx context.Context, orders int, out io.Writer) error {
	running, closeShop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(running) }()
	err := s.evening(ctx, orders, out)
	closeShop()
	return errors.Join(err, <-ended)
}

// evening trades and tells how it went.
func (s *shop) evening(ctx context.Context, orders int, out io.Writer) error {
	if err := s.board.Create(ctx); err != nil { // the runner may not have come to it
		return err
	}
	paid, err := s.trade(ctx, uuid.NewString()[:8], orders)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d orders were placed, and %d customers meant to pay; the board was rebuilt meanwhile.\n", orders, paid)
	settling, cancel := context.WithTimeout(ctx, settleTakes)
	defer cancel()
	if err := s.settle(settling); err != nil {
		return err
	}
	counts, err := statuses(ctx, s.pool)
	if err != nil {
		return err
	}
	wrong, err := differences(ctx, s.pool)
	if err != nil {
		return err
	}
	findings, err := s.repo.Audit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The board: %d shipped, %d cancelled. Differences from the events: %d. Findings of the audit: %d.\n",
		counts["shipped"], counts["cancelled"], wrong, len(findings))
	if wrong > 0 || len(findings) > 0 {
		return errWrong
	}
	return nil
}
