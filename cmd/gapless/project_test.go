package main

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// totals is the projection of a service. A rebuild of it fails on an event of type order.poison, and waits for who holds the advisory lock 77.
func totals(name string) subscription.Projection {
	return subscription.Projection{
		Name: name,
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, "CREATE TABLE "+pgx.Identifier{schema, "events"}.Sanitize()+" (position bigint)")
			return err
		},
		Apply: subscription.ApplyEach(func(ctx context.Context, tx pgx.Tx, schema string, event eventstream.LogEvent) error {
			if schema != name {
				if event.Type == "order.poison" {
					return errors.New("an order cannot be poisoned")
				}
				if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(77)"); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "INSERT INTO "+pgx.Identifier{schema, "events"}.Sanitize()+" VALUES ($1)", event.Position)
			return err
		}),
		Config: &subscription.Config{MaxTries: 1, Observer: func(subscription.Observation) {}},
	}
}

// serve runs a projection, as a service does, until stop is called.
func serve(dsn, name string) (stop func(), err error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 10
	config.ConnConfig.RuntimeParams["application_name"] = "shop"
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan error, 1)
	stop = func() { cancel(); <-ended; pool.Close() }
	repo, err := eventstream.NewRepository(pool, nil)
	var projector *subscription.Projector
	if err == nil {
		projector, err = subscription.NewProjector(repo, totals(name))
	}
	if err == nil {
		err = projector.Create(ctx)
	}
	if err != nil {
		ended <- err
		stop()
		return nil, err
	}
	go func() { ended <- projector.Run(ctx) }()
	return stop, nil
}

// scriptServe lets a service run a projection until the script ends: serve totals.
func scriptServe(ts *testscript.TestScript, _ bool, args []string) {
	stop, err := serve(ts.Getenv("DATABASE_URL"), args[0])
	ts.Check(err)
	ts.Defer(stop)
}
