package subscription

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

// ApplyEach makes a Projection.Apply of a function that applies one event. The events of a batch are applied in one transaction, all or none. A
// nil function gives a nil Apply, which NewProjector refuses.
func ApplyEach(
	apply func(ctx context.Context, tx pgx.Tx, schema string, event eventstream.LogEvent) error,
) func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
	if apply == nil {
		return nil
	}
	return func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		for i := range events {
			if err := apply(ctx, tx, schema, events[i]); err != nil {
				return err
			}
		}
		return nil
	}
}
