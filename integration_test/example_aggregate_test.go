package integration_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

func aggregate(ctx context.Context, pool *pgxpool.Pool) error {
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}
	placed := eventstream.EventOf("order.placed", map[string]any{"total": 42})
	if _, err := repo.Append(ctx, "order-1", eventstream.Empty, placed); err != nil {
		return err
	}

	// Decide on the ground of what happened: load, append to the aggregate, save at the version that was loaded.
	order, err := repo.Load(ctx, "order-1")
	if err != nil {
		return err
	}
	paid, err := eventstream.NewEvent("order.paid", map[string]any{"by": "card"})
	if err != nil {
		return err
	}
	if _, err := order.AppendEvent(paid); err != nil {
		return err
	}
	if _, err := repo.Save(ctx, order); err != nil {
		return err
	}
	fmt.Println(order, order.IsGapless())
	return nil
}

func Example_aggregate() {
	runExample(aggregate)
	// Output:
	// stream "order-1" at version 2 (watermark 2, 0 new, partition-12/32) true
}
