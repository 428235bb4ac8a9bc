package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Steps: a handler is done with a batch; its process stops before the checkpoint, or before the commit, and is told to end meanwhile; it
// goes on. The batch is on record, counted once, and the observer is told of it before Run returns: nothing of it comes again.
func TestSubscriptionEndSeesTheCheckpointThrough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ kind, before string }{
		{"tx", "ShardMoveCheckpoint"}, {"tx", "commit"}, {"effect", "ShardMoveCheckpoint"}, {"async", "ShardMoveCheckpoint"},
	} {
		t.Run(c.kind+" before "+c.before, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "a-1", 4)
			at := pauseBefore(0, "")
			a := anotherProcess(t, b, nil, tracedBy(at))
			session := make(chan context.Context, 1)
			told := newWitness()
			s := subscribe(t, a, "reader", endedHandlers()[c.kind](func(ctx context.Context) {
				at.pauseNext(c.before)
				session <- ctx
			}), &subscription.Config{Observer: told.observe})
			goOn := resumed(t, at)
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			ended := inBackground(func() error { return s.Run(ctx) })
			at.await(t, ended)
			cancel()
			<-(<-session).Done()
			goOn()
			require.NoError(t, <-ended)
			awaitSQL(t, b, "4", readerCheckpoint)
			require.Equal(t, int64(4), number(t, b.ctx, b.pool, `SELECT events FROM eventstream.subscription_shards`))
			handled := toldOf[subscription.BatchHandled](told)
			require.Len(t, handled, 1)
			require.Equal(t, 4, handled[0].Events)
		})
	}
}

// The same for an event that is replayed: it is done, and no longer parked.
func TestSubscriptionReplayIsSeenThroughAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"ParkedRemove", "commit"} {
		for _, kind := range []string{"tx", "effect"} {
			t.Run(kind+" before "+before, func(t *testing.T) {
				t.Parallel()
				b := withHandled(t, setup(t))
				rounds(t, b, 1, "a-1")
				parks := subscribe(t, b, "reader", handlerKinds["tx"](b, poisoned(-1, 1).decide), quick(subscription.Park))
				stop := keepRunning(t, b, parks)
				awaitCheckpoint(t, b, parks)
				stop()
				at := pauseBefore(0, "")
				a := anotherProcess(t, b, nil, tracedBy(at))
				session := make(chan context.Context, 1)
				s := subscribe(t, a, "reader", endedHandlers()[kind](func(ctx context.Context) { at.pauseNext(before); session <- ctx }), nil)
				goOn := resumed(t, at)
				ctx, cancel := context.WithCancel(b.ctx)
				defer cancel()
				var replayed int
				ended := inBackground(func() (err error) { replayed, err = s.ReplayParked(ctx); return err })
				at.await(t, ended)
				cancel()
				<-(<-session).Done()
				goOn()
				<-ended // with the context's error, if it had looked for more
				require.Equal(t, 1, replayed)
				require.Empty(t, parkedPositions(t, b, "reader"))
			})
		}
	}
}

// endedHandlers are handlers of each kind that do nothing but tell a test that they do it, by their session's context.
func endedHandlers() map[string]func(did func(context.Context)) subscription.Handler {
	type did = func(context.Context)
	return map[string]func(did) subscription.Handler{
		"tx": func(done did) subscription.Handler {
			return subscription.TxHandler(func(ctx context.Context, _ pgx.Tx, _ []eventstream.LogEvent) error { done(ctx); return nil })
		},
		"effect": func(done did) subscription.Handler {
			return subscription.EffectHandler(func(ctx context.Context, _ []eventstream.LogEvent) error { done(ctx); return nil })
		},
		"async": func(done did) subscription.Handler {
			return subscription.AsyncHandler(func(ctx context.Context, _ []eventstream.LogEvent, ack func(error)) { done(ctx); ack(nil) })
		},
	}
}
