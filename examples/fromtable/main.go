// Command fromtable moves a service from a plain table of events to Gapless while it keeps running.
//
//	go run ./examples/fromtable
//	go run ./examples/fromtable -events 1000000 -writers 8
//	go run ./examples/fromtable -dsn DSN   uses a database of yours that may be filled
//
// README.md says how, and what to copy.
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

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/exampledb"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// databaseName is created where no database is given.
const databaseName = "gapless_fromtable"

// after is how many events are recorded once the switch is turned, before the program ends.
const after = 200

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	dsn := flag.String("dsn", os.Getenv(exampledb.EnvDSN), "`database` to use, or "+exampledb.EnvDSN+"; else one is started")
	events := flag.Int("events", 20_000, "number of events that the old table has")
	writers := flag.Int("writers", 4, "number of writers that go on meanwhile")
	flag.Parse()
	err := run(ctx, *dsn, *events, *writers, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fromtable:", err)
		os.Exit(1)
	}
}

// run fills the old table, lets the service run, and moves it.
func run(ctx context.Context, dsn string, events, writers int, out io.Writer) (err error) {
	if events < 1 || writers < 1 {
		return fmt.Errorf("-events %d, -writers %d: must be 1 or more", events, writers)
	}
	database, err := exampledb.Open(ctx, dsn, databaseName, pgserver.Options{Log: os.Stderr})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Stop()) }()
	config, err := pgxpool.ParseConfig(database.DSN)
	if err != nil {
		return err
	}
	config.MaxConns = int32(writers) + 6 // the rest is for the migration, which has three at a time
	pool, err := pgxpool.NewWithConfig(ctx, config)
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
	s := &service{pool: pool, repo: repo}
	if _, err := pool.Exec(ctx, oldTables); err != nil {
		return err
	}
	if err := s.fill(ctx, events); err != nil {
		return err
	}
	return s.move(ctx, writers, out)
}

// move migrates while writers go on, and checks what came of it.
func (s *service) move(ctx context.Context, writers int, out io.Writer) error {
	traffic := s.begin(ctx, uuid.NewString()[:8], writers)
	m, err := s.migrate(ctx, out)
	if err != nil {
		return errors.Join(err, traffic.end())
	}
	for done := traffic.recorded.Load(); traffic.recorded.Load() < done+after && ctx.Err() == nil; {
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(ctx.Err(), traffic.end()); err != nil {
		return err
	}
	old, all, wrong, err := s.compare(ctx)
	if err != nil {
		return err
	}
	findings, err := s.repo.Audit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d events moved, while %d were recorded; writers waited for %s at the switch.\n", m.imported, traffic.recorded.Load(),
		m.waited.Round(time.Millisecond))
	fmt.Fprintf(out, "The store has %d events, %d of them from the table. Differences: %d. Findings of the audit: %d.\n", all, old, wrong, len(findings))
	if wrong > 0 || len(findings) > 0 {
		return errors.New("the store is not what the table says")
	}
	return nil
}

// compare counts the table's events, those of the store, and those that are in one alone or differ.
func (s *service) compare(ctx context.Context) (old, all, wrong int64, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM public.order_events), (SELECT count(*) FROM eventstream.events),
			(SELECT count(*) FROM public.order_events AS o
				LEFT JOIN eventstream.events AS e ON e.stream_id = 'order-' || o.order_no AND e.version = o.version
				WHERE (e.type, e.payload, e.occurred_at) IS DISTINCT FROM ('order.' || lower(o.kind), o.body, o.at))`).Scan(&old, &all, &wrong)
	return old, all, wrong, err
}
