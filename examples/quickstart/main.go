// docs:start

// Command quickstart appends to a stream, and reads what it wrote back from a projection.
//
//	DATABASE_URL=postgres://... go run ./examples/quickstart
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/migrations"
)

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dsn string) error {
	pool, err := pgxpool.New(ctx, dsn)
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

	// Table shop_totals.totals follows the events, in this process and in any other that runs it.
	totals, err := shopTotals(repo)
	if err != nil {
		return err
	}
	if err := totals.Create(ctx); err != nil {
		return err
	}
	background, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- totals.Run(background) }()

	result, err := repo.Append(ctx, "order-17", eventstream.Any, eventstream.EventOf("order.item-added", map[string]any{"price": 30}))
	if err == nil {
		err = totals.WaitFor(ctx, result.LastPosition)
	}
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	if err != nil {
		return err
	}

	var total int
	err = pool.QueryRow(ctx, `SELECT total FROM shop_totals.totals WHERE order_id = 'order-17'`).Scan(&total)
	fmt.Println("version", result.LastVersion, "total", total)
	return err
}

// shopTotals adds up what each order comes to. Its writes and its progress are one transaction: every event counts once.
func shopTotals(repo *eventstream.Repository) (*subscription.Projector, error) {
	return subscription.NewProjector(repo, subscription.Projection{
		Name: "shop_totals",
		Setup: func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, `CREATE TABLE `+schema+`.totals (order_id text PRIMARY KEY, total integer NOT NULL)`)
			return err
		},
		Apply: func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
			for _, event := range events {
				_, err := tx.Exec(ctx, `
					INSERT INTO `+schema+`.totals AS t VALUES ($1, ($2::jsonb ->> 'price')::integer)
					ON CONFLICT (order_id) DO UPDATE SET total = t.total + excluded.total`, event.StreamID, event.Payload)
				if err != nil {
					return err
				}
			}
			return nil
		},
		Config: &subscription.Config{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.item-added"}}},
	})
}

// docs:end
