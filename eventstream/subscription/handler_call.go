package subscription

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/lenttx"
)

// handlerFailure is an error of the handler, as opposed to one of the database.
type handlerFailure struct {
	err error
	// lost says that the connection of the transaction that the handler was given is gone.
	lost bool
	// placed says that what the handler said about how far it came was taken into account.
	placed bool
}

func (f *handlerFailure) Error() string { return f.err.Error() }
func (f *handlerFailure) Unwrap() error { return f.err }
func (f *handlerFailure) ofTheHandler() {}

// call runs a handler, and turns its error or panic into a handlerFailure.
func call(handler func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &handlerFailure{err: &HandlerPanicError{Value: value, Stack: debug.Stack()}}
		}
	}()
	if err := handler(); err != nil {
		return &handlerFailure{err: err}
	}
	return nil
}

func asFailure(err error) *handlerFailure {
	var failure *handlerFailure
	if errors.As(err, &failure) {
		return failure
	}
	return &handlerFailure{err: err}
}

// unwrapFailure is the error that a handler returned.
func unwrapFailure(err error) error {
	var failure *handlerFailure
	if errors.As(err, &failure) {
		return failure.err
	}
	return err
}

// complete is nil even if a handler says that it has handled the first of its events, and these are all.
func complete(err error, got int) error {
	var part *partialError
	if errors.As(err, &part) && part.err == nil && part.n == got {
		return nil
	}
	return err
}

// callInTx calls a TxHandler.
func (w *shardWorker) callInTx(ctx context.Context, tx pgx.Tx, h TxHandler, events []eventstream.LogEvent) error {
	limited, done := w.limit(ctx)
	defer done()
	got := len(events)
	traced, trace := w.trace(limited, events)
	err := call(func() error { return h(traced, lenttx.Tx{Tx: tx, Refusal: eventstream.ErrTxEnded}, events) })
	return trace.ended(w.tooLong(ctx, limited, complete(err, got)))
}

// start calls a handler of another kind; ack is called once it has ended, by whoever comes first.
func (w *shardWorker) start(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
	got := len(events)
	limited, done := w.limit(ctx)
	traced, trace := w.trace(limited, events)
	switch h := w.sub.handler.(type) {
	case EffectHandler:
		err := call(func() error { return h(traced, w.lend(events)) })
		done()
		ack(trace.ended(w.tooLong(ctx, limited, complete(err, got))))
	case AsyncHandler:
		var once sync.Once
		end := func(err error) {
			once.Do(func() {
				err = w.tooLong(ctx, limited, complete(err, got))
				done()
				ack(trace.ended(err))
			})
		}
		stop := context.AfterFunc(limited, func() {
			if ctx.Err() == nil { // by now nobody waits for an acknowledgement
				end(context.DeadlineExceeded)
			}
		})
		err := call(func() error { h(traced, slices.Clone(events), func(err error) { stop(); end(err) }); return nil })
		if err != nil {
			stop()
			end(err)
		}
	}
}

// callAndWait calls the handler and waits for its acknowledgement.
func (w *shardWorker) callAndWait(ctx context.Context, events []eventstream.LogEvent) error {
	ended := make(chan error, 1)
	w.start(ctx, events, func(err error) { ended <- err })
	select {
	case err := <-ended:
		if err != nil {
			return asFailure(err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// limit is the context of one call of the handler. The observer is told if it lasts longer than that; done says that it does not.
func (w *shardWorker) limit(ctx context.Context) (limited context.Context, done func()) {
	timeout := w.sub.config.HandlerTimeout
	if timeout == 0 {
		return ctx, func() {}
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(limited, func() {
		if ctx.Err() == nil {
			w.tell(HandlerLate{Subscription: w.sub.name, Shard: w.shard, Limit: timeout})
		}
	})
	return limited, func() { stop(); cancel() }
}

// tooLong adds to a handler's error that it came after the time that the handler had.
func (w *shardWorker) tooLong(ctx, limited context.Context, err error) error {
	if err == nil || ctx.Err() != nil || !errors.Is(limited.Err(), context.DeadlineExceeded) {
		return err
	}
	return &handlerFailure{err: fmt.Errorf("%w (%s): %w", ErrHandlerTimeout, w.sub.config.HandlerTimeout, unwrapFailure(err))}
}
