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

// Tables are those of a projection, in the transaction in which its checkpoint moves.
type Tables struct {
	pgx.Tx
	// Schema is the schema that they are in: that of the projection, or the one in which it is being rebuilt.
	Schema string
}

// Name is the name of one of the tables as SQL has it: with the schema, both quoted.
func (t Tables) Name(table string) string { return pgx.Identifier{t.Schema, table}.Sanitize() }

// ApplyIn is ApplyEach for a function that gets transaction and schema in one, as codec.Handlers.Handle does.
func ApplyIn(
	apply func(ctx context.Context, tables Tables, event eventstream.LogEvent) error,
) func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
	if apply == nil {
		return nil
	}
	return ApplyEach(func(ctx context.Context, tx pgx.Tx, schema string, event eventstream.LogEvent) error {
		return apply(ctx, Tables{Tx: tx, Schema: schema}, event)
	})
}
