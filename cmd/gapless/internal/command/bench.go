package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/gaplesspg/gapless/cmd/gapless/internal/bench"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/output"
	"github.com/gaplesspg/gapless/cmd/gapless/internal/progress"
	"github.com/gaplesspg/gapless/migrations"
)

// dropDatabaseTimeout is how long the database of a benchmark may take to go.
const dropDatabaseTimeout = 30 * time.Second

func (a *app) benchCommand() *cobra.Command {
	options := bench.Options{Duration: 3 * time.Second, Clients: 8}
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure appends and reads on the server, in a database that is made for it and dropped", Args: noArgs,
		Long: `Measures what the server gives from here: appends one after the other and of many clients, batches, loads of streams, and the log read whole.
It takes under half a minute, and asks first, since the server is busy meanwhile.

Events can never be taken away again, so it does not touch the store that it is connected to: it creates a database of its own on the same server,
and drops it, also after Ctrl-C. The role needs CREATEDB. What is measured includes the network and this machine; fsync and synchronous_commit
are printed, since they decide what an append costs. docs/benchmarks.md compares with plain PostgreSQL.`,
		Example: `  gapless bench --yes
  gapless bench --clients 32 --duration 10s --yes --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Duration < 100*time.Millisecond || options.Duration > 10*time.Minute {
				return usagef("--duration %s: must be 100ms to 10m", options.Duration)
			}
			if options.Clients < 1 || options.Clients > 1000 {
				return usagef("--clients %d: must be 1 to 1000", options.Clients)
			}
			return a.withPool(cmd.Context(), func(pool *pgxpool.Pool) error { return a.bench(cmd.Context(), pool, options) })
		},
	}
	cmd.Flags().DurationVar(&options.Duration, "duration", options.Duration, "how long each measurement of appends takes")
	cmd.Flags().IntVar(&options.Clients, "clients", options.Clients, "how many clients append at once")
	return cmd
}

func (a *app) bench(ctx context.Context, pool *pgxpool.Pool, options bench.Options) (err error) {
	name := "gapless_bench_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	if err := a.confirm(ctx, "this keeps the server busy for some seconds, in a database %s of its own", name); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		return err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropDatabaseTimeout)
		defer cancel()
		if _, dropped := pool.Exec(clean, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)"); dropped != nil {
			err = errors.Join(err, fmt.Errorf("database %s could not be dropped, and can be at any time: %w", name, dropped))
		}
	}()
	config := pool.Config().Copy()
	config.ConnConfig.Database = name
	config.MaxConns = int32(options.Clients) + 2
	own, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer own.Close()
	if err = migrations.Up(ctx, own, nil); err == nil {
		err = a.measure(ctx, own, options)
	}
	if ctx.Err() != nil {
		return stopped("the database of the benchmark is dropped")
	}
	return err
}

func (a *app) measure(ctx context.Context, pool *pgxpool.Pool, options bench.Options) error {
	settings, err := bench.Settings(ctx, pool)
	if err != nil {
		return err
	}
	steps := bench.Steps()
	bar := progress.Start(a.stderr, "bench", int64(len(steps)), progress.Percent)
	var results []bench.Result
	for n, step := range steps {
		result, err := step.Run(ctx, pool, options)
		if err != nil {
			bar.End(err)
			return err
		}
		results = append(results, result)
		bar.Set(int64(n + 1))
	}
	bar.End(nil)
	list := a.out.List("MEASURED", "#EVENTS/S", "#CALLS", "#P50", "#P99")
	for _, r := range results {
		if err := list.Add(r, r.Name, output.Int(int64(r.EventsPerSecond)), output.Int(r.Calls), r.P50.String(), r.P99.String()); err != nil {
			return err
		}
	}
	if err := list.Flush(); err != nil {
		return err
	}
	if a.out.JSON {
		return a.out.Record(settings)
	}
	return a.out.Say("PostgreSQL %s, fsync %s, synchronous_commit %s, shared_buffers %s", settings.Version, settings.Fsync, settings.SynchronousCommit,
		settings.SharedBuffers)
}
