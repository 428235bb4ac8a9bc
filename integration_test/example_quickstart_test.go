package integration_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// docs:start
func quickstart(ctx context.Context, pool *pgxpool.Pool) error {
	// Safe in every process that starts: one migrates, the others wait.
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
	paid := eventstream.EventOf("order.paid", map[string]any{"by": "card"})
	if _, err := repo.Append(ctx, "order-1", eventstream.Exact(1), paid); err != nil {
		return err
	}
	for event, err := range repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
		if err != nil {
			return err
		}
		fmt.Println(event.Version, event.Type, string(event.Payload))
	}
	return nil
}

// docs:end

func Example_quickstart() {
	runExample(quickstart)
	// Output:
	// 1 order.placed {"total": 42}
	// 2 order.paid {"by": "card"}
}
