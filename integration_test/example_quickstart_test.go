package integration_test

// docs:start
import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

func quickstart(ctx context.Context, pool *pgxpool.Pool) error {
	// Safe in every process that starts: one migrates, the others wait.
	if err := migrations.Up(ctx, pool, nil); err != nil {
		return err
	}
	repo, err := eventstream.NewRepository(pool, nil)
	if err != nil {
		return err
	}

	placed, err := eventstream.NewEvent("order.placed", map[string]any{"total": 42})
	if err != nil {
		return err
	}
	result, err := repo.Append(ctx, "order-1", eventstream.Empty, placed)
	if err != nil {
		return err
	}
	fmt.Println("appended version", result.LastVersion)

	// The same events again, as after a lost connection, change nothing.
	result, err = repo.Append(ctx, "order-1", eventstream.Empty, placed)
	if err != nil {
		return err
	}
	fmt.Println("a duplicate:", result.Duplicate)

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

	// Somebody who still believes in version 1 is told the version that is there.
	cancelled, err := eventstream.NewEvent("order.cancelled", nil)
	if err != nil {
		return err
	}
	_, err = repo.Append(ctx, "order-1", eventstream.Exact(1), cancelled)
	var conflict *eventstream.VersionConflictError
	if errors.As(err, &conflict) {
		fmt.Println("expected version", conflict.Expected, "but it is", conflict.Actual)
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
	// appended version 1
	// a duplicate: true
	// expected version 1 but it is 2
	// 1 order.placed {"total": 42}
	// 2 order.paid {"by": "card"}
}
