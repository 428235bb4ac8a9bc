package integration_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/eventstream"
)

// docs:start
// payTwice appends the same event again, as after a lost connection, and then another one at a version that has passed.
func payTwice(ctx context.Context, repo *eventstream.Repository) error {
	paid, err := eventstream.NewEvent("order.paid", map[string]any{"by": "card"})
	if err != nil {
		return err
	}
	for range 2 {
		result, err := repo.Append(ctx, "order-1", eventstream.Exact(1), paid)
		if err != nil {
			return err
		}
		fmt.Println("version", result.LastVersion, "- a duplicate:", result.Duplicate)
	}

	cancelled, err := eventstream.NewEvent("order.cancelled", nil)
	if err != nil {
		return err
	}
	_, err = repo.Append(ctx, "order-1", eventstream.Exact(1), cancelled)
	var conflict *eventstream.VersionConflictError
	if !errors.As(err, &conflict) {
		return err
	}
	fmt.Println("expected version", conflict.Expected, "but it is", conflict.Actual)
	return nil
}

// docs:end

func Example_retry() {
	runExample(func(ctx context.Context, pool *pgxpool.Pool) error {
		repo, err := exampleRepository(ctx, pool, nil)
		if err != nil {
			return err
		}
		if _, err := exampleAppend(ctx, repo, "order-1", "order.placed", nil); err != nil {
			return err
		}
		return payTwice(ctx, repo)
	})
	// Output:
	// version 2 - a duplicate: false
	// version 2 - a duplicate: true
	// expected version 1 but it is 2
}
