// Command log measures reading: how fast a subscription catches up, against what plain pgx does with the same rows in the same run; how
// soon an event reaches a handler; what subscriptions cost that have nothing to do.
//
//	go run ./bench/log -events 1000000
//
// Every rate is the median of the rounds, which run all cases in turn; ratios are taken within a round, before the median. They compare
// time on the clock, of client and server together: on a machine with few cores both share them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	events := flag.Int("events", 1_000_000, "events of the log")
	rounds := flag.Int("rounds", 3, "how often each catch-up is measured")
	only := flag.String("only", "", "measure catchup, latency or idle alone")
	flag.Parse()
	err := run(ctx, *events, *rounds, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// store is the database that is measured on.
type store struct {
	dsn  string
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

func run(ctx context.Context, events, rounds int, only string) (err error) {
	if events < 1000 || rounds < 1 {
		return fmt.Errorf("-events %d -rounds %d: at least 1000 and 1", events, rounds)
	}
	server, err := pgserver.Start(ctx, pgserver.Options{
		Log: os.Stderr, Durable: true, NeedSuperuser: true,
		Settings: map[string]string{"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "1h"},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	fmt.Println("server:", server.Origin)
	s, drop, err := openStore(ctx, server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop()) }()
	for _, part := range []struct {
		name    string
		measure func(context.Context, *store) error
	}{
		{"latency", measureLatency},
		{"idle", measureIdle},
		{"catchup", func(ctx context.Context, s *store) error { return measureCatchUp(ctx, s, events, rounds) }},
	} {
		if only != "" && only != part.name {
			continue
		}
		if err := part.measure(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// openStore makes a migrated database, and what connects to it.
func openStore(ctx context.Context, server *pgserver.Server) (*store, func() error, error) {
	name := fmt.Sprintf("gapless_bench_log_%d", os.Getpid())
	admin, err := pgxpool.New(ctx, server.DSN(""))
	if err != nil {
		return nil, nil, err
	}
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+name+` ENCODING 'UTF8' TEMPLATE template0`); err != nil {
		return nil, nil, err
	}
	s := &store{dsn: server.DSN(name)}
	if s.pool, s.repo, err = connect(ctx, s.dsn, "bench", nil); err != nil {
		return nil, nil, err
	}
	drop := func() error {
		s.pool.Close()
		_, err := admin.Exec(context.WithoutCancel(ctx), `DROP DATABASE `+name+` WITH (FORCE)`)
		admin.Close()
		return err
	}
	if err := migrations.Up(ctx, s.pool, nil); err != nil {
		return nil, nil, errors.Join(err, drop())
	}
	return s, drop, nil
}

// connect makes a repository on a pool of its own, as another process would.
func connect(ctx context.Context, dsn, application string, config *eventstream.Config) (*pgxpool.Pool, *eventstream.Repository, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, nil, err
	}
	c.MaxConns = 10
	c.ConnConfig.RuntimeParams["application_name"] = application
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	repo, err := eventstream.NewRepository(pool, config)
	return pool, repo, err
}

// quantile is the value below which a share of the values lies.
func quantile[T ~int64 | ~float64](values []T, share float64) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
