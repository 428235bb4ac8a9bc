package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// mailer counts what it sent, by position.
type mailer struct {
	mu   sync.Mutex
	sent map[int64]int
	fail func(e eventstream.LogEvent) error
}

func (m *mailer) mail(_ context.Context, e eventstream.LogEvent) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail(e); err != nil {
		return err
	}
	m.sent[e.Position]++
	return nil
}

func (m *mailer) requireOnce(t testing.TB, count int64, except ...int64) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	want := map[int64]int{}
	for p := range count {
		want[p+1] = 1
	}
	for _, p := range except {
		delete(want, p)
	}
	require.Equal(t, want, m.sent)
}

func poisonAt(positions ...int64) func(eventstream.LogEvent) error {
	return func(e eventstream.LogEvent) error {
		for _, p := range positions {
			if e.Position == p {
				return errPoison
			}
		}
		return nil
	}
}

// partialKinds are handlers that say how far they came: by the adapter, by hand, and by acknowledgement.
var partialKinds = map[string]func(m *mailer) subscription.Handler{
	"each": func(m *mailer) subscription.Handler { return subscription.EachEvent(m.mail) },
	"effect": func(m *mailer) subscription.Handler {
		return subscription.EffectHandler(func(ctx context.Context, events []eventstream.LogEvent) error { return m.all(ctx, events) })
	},
	"async": func(m *mailer) subscription.Handler {
		return subscription.AsyncHandler(func(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
			go func() { ack(m.all(ctx, events)) }()
		})
	},
}

func (m *mailer) all(ctx context.Context, events []eventstream.LogEvent) error {
	for i, e := range events {
		if err := m.mail(ctx, e); err != nil {
			return fmt.Errorf("mail: %w", subscription.HandledFirst(i, err))
		}
	}
	return nil
}

// One poison event in a batch of ten, or several, at every place: the good mails are sent once.
func TestSubscriptionInnocentEventsAreNotSentAgain(t *testing.T) {
	t.Parallel()
	for kind, handler := range partialKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "a-1", 10)
			for i, sick := range [][]int64{{5}, {1}, {10}, {1, 2, 3}, {4, 7, 10}, {1, 10}} {
				m := &mailer{sent: map[int64]int{}, fail: poisonAt(sick...)}
				told := newWitness()
				config := quick(subscription.Park)
				// One batch at a time: of those that an AsyncHandler has got ahead, what comes after a failure comes again.
				config.BatchSize, config.Window, config.Observer = 10, 1, told.observe
				s := subscribe(t, b, fmt.Sprintf("reader-%d", i), handler(m), config)
				stop := keepRunning(t, b, s)
				awaitCheckpoint(t, b, s)
				stop()
				m.requireOnce(t, 10, sick...)
				require.Equal(t, sick, parkedPositions(t, b, s.Name()))
				handled := 0
				for _, h := range toldOf[subscription.BatchHandled](told) {
					handled += h.Events
				}
				require.Equal(t, 10-len(sick), handled)
				for _, p := range readAll(t, subscription.ParkedEvents(b.ctx, b.repo, s.Name())) {
					require.Equal(t, 3, p.Tries)
					require.NotContains(t, p.Error, "HandledFirst")
				}
				require.Equal(t, int64(10-len(sick)), number(t, b.ctx, b.pool,
					`SELECT events FROM eventstream.subscription_shards WHERE subscription = $1`, s.Name()))
			}
		})
	}
}

// With ParkStream, what waits behind a parked event in the same batch waits, and what is free of it is sent once.
func TestSubscriptionPartialWithParkedStreams(t *testing.T) {
	t.Parallel()
	for kind, handler := range partialKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rounds(t, b, 6, "a-1", "b-1", "c-1")
			m := &mailer{sent: map[int64]int{}, fail: poisonAt(2, 9)} // b's first, c's third
			config := quick(subscription.ParkStream)
			config.BatchSize, config.Window = 9, 1
			s := subscribe(t, b, "reader", handler(m), config)
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			waits := []int64{2, 5, 8, 9, 11, 12, 14, 15, 17, 18}
			require.Equal(t, waits, parkedPositions(t, b, "reader"))
			m.requireOnce(t, 18, waits...)
			m.fail = poisonAt()
			handled, err := s.ReplayParked(b.ctx)
			require.NoError(t, err)
			require.Equal(t, len(waits), handled)
			m.requireOnce(t, 18)
		})
	}
}

// A handler that is told to end in the middle of a batch keeps what it has done: the next Run goes on after it.
func TestSubscriptionEndKeepsWhatWasHandled(t *testing.T) {
	t.Parallel()
	for kind, handler := range partialKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "a-1", 10)
			ctx, cancel := context.WithCancel(b.ctx)
			m := &mailer{sent: map[int64]int{}}
			m.fail = func(e eventstream.LogEvent) error {
				if e.Position == 7 {
					cancel()
					return ctx.Err()
				}
				return nil
			}
			s := subscribe(t, b, "reader", handler(m), quick(subscription.Park))
			require.NoError(t, s.Run(ctx))
			if kind != "async" { // whose acknowledgement comes after the end, or before it
				awaitSQL(t, b, "6", readerCheckpoint)
			}
			m.mu.Lock()
			m.fail = poisonAt()
			if kind == "async" {
				m.sent = map[int64]int{}
				for p := range number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards`) {
					m.sent[p+1] = 1
				}
			}
			m.mu.Unlock()
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			m.requireOnce(t, 10)
		})
	}
}

// An effect that is done when Run is told to end is on record, so that it is not done again.
func TestSubscriptionEndKeepsAWholeBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "a-1", 4)
	ctx, cancel := context.WithCancel(b.ctx)
	calls := 0
	handler := subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error {
		calls++
		cancel() // in the middle of the work, which it ends all the same
		return nil
	})
	s := subscribe(t, b, "reader", handler, nil)
	require.NoError(t, s.Run(ctx))
	require.Equal(t, 1, calls)
	awaitSQL(t, b, "4", readerCheckpoint)
}

// With a nil error the rest of the batch comes next, and nothing has failed; what does not fit the batch is a failure, and loses nothing.
func TestSubscriptionPartialWithoutAnError(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		given(t, b, "a-1", 10)
		handled := map[int64]bool{}
		var mu sync.Mutex
		calls := 0
		decide := func(events []eventstream.LogEvent) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			for _, e := range events[:min(3, len(events))] {
				handled[e.Position] = true
			}
			return subscription.HandledFirst(min(3, len(events)), nil)
		}
		told := newWitness()
		config := quick(subscription.Stop)
		config.Observer = told.observe
		s := subscribe(t, b, "reader", handlerKinds[kind](b, decide), config)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, handled, 10)
		require.Empty(t, toldOf[subscription.TryFailed](told))
		if kind != "tx" { // whose first part is rolled back, and comes again
			require.Equal(t, 4, calls)
		}
	})
}

func TestSubscriptionPartialThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]func(got int) error{
		"nothing, and no error":   func(int) error { return subscription.HandledFirst(0, nil) },
		"below nothing":           func(int) error { return subscription.HandledFirst(-1, nil) },
		"all, and an error":       func(got int) error { return subscription.HandledFirst(got, errPoison) },
		"more than all":           func(got int) error { return subscription.HandledFirst(got+1, nil) },
		"more than all, an error": func(got int) error { return subscription.HandledFirst(got+1, errPoison) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			given(t, b, "a-1", 4)
			decide := func(events []eventstream.LogEvent) error {
				for _, e := range events {
					if e.Position == 3 {
						return wrong(len(events))
					}
				}
				return nil
			}
			s := subscribe(t, b, "reader", handlerKinds["effect"](b, decide), quick(subscription.Park))
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			require.Equal(t, []int64{3}, parkedPositions(t, b, "reader"))
			requireHandledOnce(t, b, 3)
			require.ErrorContains(t, errors.New(readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader"))[0].Error), "HandledFirst")
		})
	}
}

// A TxHandler that says which event failed is divided there: each event is handled once, and in few calls.
func TestSubscriptionPartialTransaction(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "a-1", 50)
	calls := 0
	handler := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		calls++
		for i, e := range events {
			if e.Position == 37 {
				return subscription.HandledFirst(i, errPoison)
			}
			if err := writeHandled(ctx, tx, events[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	})
	s := subscribe(t, b, "reader", handler, quick(subscription.Park))
	stop := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	stop()
	requireHandledOnce(t, b, 37)
	require.Equal(t, []int64{37}, parkedPositions(t, b, "reader"))
	require.Equal(t, 1+1+2+1, calls, "the batch, what comes before, two more tries, what comes after")
}
