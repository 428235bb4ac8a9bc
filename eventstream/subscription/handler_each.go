package subscription

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
)

// EachEvent makes an EffectHandler of a function that handles one event. What it has handled does not come again when a later event of the
// batch fails, nor when Run is told to end in between. A nil function gives a nil handler, which New refuses.
func EachEvent(handle func(ctx context.Context, event eventstream.LogEvent) error) EffectHandler {
	if handle == nil {
		return nil
	}
	return func(ctx context.Context, events []eventstream.LogEvent) error {
		for i := range events {
			err := ctx.Err()
			if err == nil {
				err = call(func() error { return handle(ctx, events[i]) })
			}
			if err != nil {
				return HandledFirst(i, unwrapFailure(err))
			}
		}
		return nil
	}
}

// EachInTx makes a TxHandler of a function that handles one event. The events of a batch are handled in one transaction, all or none; the one
// that fails is then tried by itself. A nil function gives a nil handler, which New refuses.
func EachInTx(handle func(ctx context.Context, tx pgx.Tx, event eventstream.LogEvent) error) TxHandler {
	if handle == nil {
		return nil
	}
	return func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		for i := range events {
			if err := handle(ctx, tx, events[i]); err != nil {
				return HandledFirst(i, err)
			}
		}
		return nil
	}
}
