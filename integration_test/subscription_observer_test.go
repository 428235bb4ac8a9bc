package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// The observer is told the whole story, in order and before Run returns: claimed, failed, parked, handled, stopped, released.
func TestSubscriptionObserverIsToldEverything(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 5, "a-1")
		p := poisoned(-1, 3)
		told := newWitness()
		config := quick(subscription.Park)
		config.BatchSize, config.Window, config.Observer = 1, 1, told.observe
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config)
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop()
		var story []string
		tell := func(words ...any) { story = append(story, strings.TrimSpace(fmt.Sprintln(words...))) }
		for _, o := range told.all {
			switch o := o.(type) {
			case subscription.ShardClaimed:
				require.Positive(t, o.Epoch)
				tell("claimed", o.Subscription, o.Shard)
			case subscription.BatchHandled:
				require.Positive(t, o.Took)
				tell("handled", o.Events, "to", o.Position)
			case subscription.TryFailed:
				require.ErrorIs(t, o.Err, errPoison)
				tell("failed", o.First.Position, o.First.StreamID, o.First.Version, o.Events, o.Tries, o.Counted)
			case subscription.EventParked:
				require.ErrorIs(t, o.Err, errPoison)
				tell("parked", o.Event.Position, o.Event.Type, o.Tries)
			case subscription.ShardReleased:
				tell("released", o.Subscription, o.Shard)
			default:
				t.Errorf("told of %T: %v", o, o)
			}
		}
		require.Equal(t, []string{
			"claimed reader 0", "handled 1 to 1", "handled 1 to 2",
			"failed 3 a-1 3 1 1 true", "failed 3 a-1 3 1 2 true", "failed 3 a-1 3 1 3 true", "parked 3 order.placed 3",
			"handled 1 to 4", "handled 1 to 5", "released reader 0",
		}, story)

		told = newWitness()
		config = quick(subscription.Stop)
		config.Observer = told.observe
		err := run1(t, b, subscribe(t, b, "stops", handlerKinds[kind](b, p.decide), config)).wait(t, b)
		require.Error(t, err)
		stopped := toldOf[subscription.RunStopped](told)
		require.Len(t, stopped, 1)
		require.Equal(t, []any{"stops", err}, []any{stopped[0].Subscription, stopped[0].Err})
		require.IsType(t, subscription.RunStopped{}, told.all[len(told.all)-1])
	})
}

// A rebuild is told of when it is done.
func TestProjectionRebuildIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 3, "a-1")
	told := newWitness()
	p, err := subscription.NewProjector(b.repo, subscription.Projection{
		Name: "counts", Setup: func(context.Context, pgx.Tx, string) error { return nil },
		Apply:  func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return nil },
		Config: &subscription.Config{Observer: told.observe},
	})
	require.NoError(t, err)
	require.NoError(t, p.Rebuild(b.ctx, nil))
	rebuilt := toldOf[subscription.ProjectionRebuilt](told)
	require.Len(t, rebuilt, 1)
	require.Equal(t, "counts", rebuilt[0].Projection)
	require.Positive(t, rebuilt[0].Took)
}

// An observer that panics, each time and for everything, harms nobody.
func TestSubscriptionObserverPanics(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 5, "a-1")
		p := poisoned(-1, 3)
		var calls atomic.Int64
		config := quick(subscription.Park)
		config.BatchSize = 1
		config.Observer = func(subscription.Observation) { calls.Add(1); panic("boom") }
		a := anotherProcess(t, b, nil, named("a"))
		s := subscribe(t, a, "reader", handlerKinds[kind](b, p.decide), config)
		stop := keepRunning(t, a, s)
		awaitCheckpoint(t, b, s)
		killMember(t, b, "a")
		rounds(t, b, 5, "a-1")
		awaitCheckpoint(t, b, s)
		stop()
		requireNoRow(t, b, `SELECT position FROM eventstream.events WHERE position <> 3 EXCEPT SELECT position FROM public.handled`)
		require.Greater(t, calls.Load(), int64(10))
	})
}

// An observer that does not return holds up neither its own subscription, nor the poller that tells of it, nor the end of Run for long.
func TestSubscriptionObserverHangs(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 5, "a-1")
	leave := make(chan struct{})
	t.Cleanup(func() { close(leave) })
	config := quick(subscription.Stop)
	config.BatchSize = 1
	config.Observer = func(subscription.Observation) { <-leave }
	a := anotherProcess(t, b, nil, named("a"))
	s := subscribe(t, a, "reader", handlerKinds["tx"](b, nil), config)
	stop := keepRunning(t, a, s)
	awaitCheckpoint(t, b, s)
	killMember(t, b, "a") // of which the poller tells
	given(t, b, "b-1", 1)
	awaitCheckpoint(t, b, s)
	stop()
	requireHandledOnce(t, b)
	requireFree(t, b, "reader")
}

// What is told by default goes to slog, with all that one looks for, and at a level that fits.
func TestSlogObserver(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	observer := subscription.SlogObserver(slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	event := subscription.EventRef{Position: 7, StreamID: "order-1", Version: 2, Type: "order.placed"}
	for _, o := range []subscription.Observation{
		subscription.BatchHandled{Subscription: "s", Shard: 1, Events: 2, Waiting: 1, Position: 9, Took: time.Second},
		subscription.TryFailed{Subscription: "s", Shard: 1, First: event, Events: 1, Tries: 2, Counted: true, Err: errPoison},
		subscription.TryFailed{
			Subscription: "s", Shard: 1, First: event, Last: subscription.EventRef{Position: 12}, Events: 4, Counted: true, Err: errPoison,
		},
		subscription.EventParked{Subscription: "s", Shard: 1, Event: event, Tries: 3, Err: errPoison},
		subscription.HandlerLate{Subscription: "s", Shard: 1, Limit: time.Second, Abandoned: true},
		subscription.ShardClaimed{Subscription: "s", Shard: 1, Epoch: 5},
		subscription.ShardReleased{Subscription: "s", Shard: 1, Epoch: 5},
		subscription.ShardLost{Subscription: "s", Shard: 1, Epoch: 5, Err: subscription.ErrShardLost},
		subscription.Interrupted{Subscription: "s", Shard: -1, Err: errors.New("away")},
		subscription.RunStopped{Subscription: "s", Err: errPoison},
		subscription.RunRestarts{Subscription: "s", Restarts: 2, After: time.Second, Err: errPoison},
		subscription.RunGivenUp{Subscription: "s", Err: errPoison},
		subscription.RebuildTaken{Projection: "p", InPlace: true, By: "ops"},
		subscription.RebuildFailed{Projection: "p", Err: errPoison},
		subscription.RebuildFailed{Projection: "p", Err: errors.New("away"), Again: true},
		subscription.ProjectionRebuilt{Projection: "p", Took: time.Second},
		subscription.ObservationsMissed{Subscription: "s", Count: 4},
	} {
		observer(o)
	}
	const where = `event_id=00000000-0000-0000-0000-000000000000 position=7 stream_id=order-1 version=2 type=order.placed`
	require.Equal(t, strings.Join([]string{
		`level=DEBUG msg="gapless: batch handled" subscription=s shard=1 events=2 waiting=1 position=9 took=1s`,
		`level=WARN msg="gapless: handler failed" subscription=s shard=1 ` + where + ` events=1 tries=2 counted=true error="cannot digest it"`,
		`level=WARN msg="gapless: handler failed" subscription=s shard=1 events=4 from_position=7 to_position=12 tries=0 counted=true ` +
			`error="cannot digest it"`,
		`level=ERROR msg="gapless: event parked" subscription=s shard=1 ` + where + ` tries=3 error="cannot digest it"`,
		`level=WARN msg="gapless: handler is late" subscription=s shard=1 limit=1s abandoned=true`,
		`level=DEBUG msg="gapless: shard claimed" subscription=s shard=1 epoch=5`,
		`level=DEBUG msg="gapless: shard released" subscription=s shard=1 epoch=5`,
		`level=WARN msg="gapless: shard lost" subscription=s shard=1 epoch=5 error="shard lost: it was taken away, by another process, or by who paused, reset, resharded or rebuilt it"`,
		`level=WARN msg="gapless: interrupted, trying again" subscription=s error=away`,
		`level=ERROR msg="gapless: subscription stopped" subscription=s error="cannot digest it"`,
		`level=WARN msg="gapless: subscription restarts" subscription=s restarts=2 after=1s error="cannot digest it"`,
		`level=ERROR msg="gapless: subscription given up" subscription=s error="cannot digest it"`,
		`level=INFO msg="gapless: rebuild of a projection begins, as requested" projection=p in_place=true by=ops`,
		`level=ERROR msg="gapless: requested rebuild of a projection failed" projection=p again=false error="cannot digest it"`,
		`level=WARN msg="gapless: requested rebuild of a projection failed" projection=p again=true error=away`,
		`level=INFO msg="gapless: projection rebuilt" projection=p took=1s`,
		`level=WARN msg="gapless: observer is too slow" subscription=s missed=4`,
		``,
	}, "\n"), text.String())
	subscription.SlogObserver(nil)(subscription.ShardClaimed{Subscription: "s"})
}

// failing is what psql shows of a shard that fails.
const failing = `SELECT CASE WHEN num_nonnulls(failing_position, failing_event, tries, last_error, failing_since) > 0
		THEN format('%s %s %s %s %s', failing_position, (SELECT version FROM eventstream.events AS e WHERE e.event_id = failing_event),
			tries, last_error, failing_since <= clock_timestamp()) ELSE '' END
	FROM eventstream.audit_subscriptions WHERE subscription = 'reader'`

// A shard that is stuck shows in psql what it is stuck on, how often, since when and why, also after its Run has stopped; and no longer once
// the event is behind it.
func TestSubscriptionFailureIsSeenInSQL(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 5, "a-1")
		p := poisoned(-1, 3)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.Stop))
		require.Error(t, run1(t, b, s).wait(t, b))
		awaitSQL(t, b, "3 3 3 cannot digest it t", failing)
		lag, err := s.Lag(b.ctx)
		require.NoError(t, err)
		var event uuid.UUID
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT event_id FROM eventstream.events WHERE position = 3`).Scan(&event))
		require.Equal(t, []any{int64(3), event, 3, "cannot digest it", subscription.ShardFree},
			[]any{lag[0].FailingPosition, lag[0].FailingEvent, lag[0].Tries, lag[0].LastError, lag[0].State})
		since := lag[0].FailingSince
		require.WithinDuration(t, time.Now(), since, testTimeout)

		// The next run fails again: since when stays what it was.
		require.Error(t, run1(t, b, s).wait(t, b))
		lag, err = s.Lag(b.ctx)
		require.NoError(t, err)
		require.Equal(t, since, lag[0].FailingSince)

		p.cure(3)
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop()
		lag, err = s.Lag(b.ctx)
		require.NoError(t, err)
		require.Equal(t, []any{int64(0), uuid.Nil, 0, "", time.Time{}},
			[]any{lag[0].FailingPosition, lag[0].FailingEvent, lag[0].Tries, lag[0].LastError, lag[0].FailingSince})
	})
}

// What fails without counting shows too; what is parked, skipped or reset shows no longer.
func TestSubscriptionFailureIsForgotten(t *testing.T) {
	t.Parallel()
	for name, decide := range map[string]func(b *bundle) error{
		"skipped": func(b *bundle) error { return subscription.SkipEvent(b.ctx, b.repo, "reader", 3, "no use") },
		"reset":   func(b *bundle) error { return subscription.Reset(b.ctx, b.repo, "reader", eventstream.FromLatest) },
		"resharded and back": func(b *bundle) error {
			return errors.Join(subscription.Reshard(b.ctx, b.repo, "reader", 2), subscription.Reshard(b.ctx, b.repo, "reader", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			rounds(t, b, 3, "a-1")
			p := poisoned(-1, 3)
			p.fail = func(eventstream.LogEvent) error { return subscription.RetryAfter(errPoison, time.Hour) }
			s := subscribe(t, b, "reader", handlerKinds["tx"](b, p.decide), &subscription.Config{BatchSize: 1})
			first := run1(t, b, s)
			awaitSQL(t, b, "3 3 0 cannot digest it t", failing)
			first.stop(t)
			awaitSQL(t, b, "3 3 0 cannot digest it t", failing)
			require.NoError(t, decide(b))
			awaitSQL(t, b, "", failing)
			keepRunning(t, b, s)
			p.cure(3)
			awaitCheckpoint(t, b, s)
			awaitSQL(t, b, "", failing)
		})
	}
	t.Run("parked", func(t *testing.T) {
		t.Parallel()
		b := withHandled(t, setup(t))
		rounds(t, b, 3, "a-1")
		p := poisoned(-1, 3)
		s := subscribe(t, b, "reader", handlerKinds["effect"](b, p.decide), quick(subscription.Park))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		awaitSQL(t, b, "", failing)
	})
}

// Only the owner says what a shard fails on, and only of what is still to come.
func TestSubscriptionFailureIsTheOwners(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1")
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	const record = `SELECT eventstream.record_failure('reader', 0, epoch + $1, $2, NULL, 1, 'why') FROM eventstream.subscription_shards`
	execSQL(t, b.ctx, b.pool, record, -1, 4)
	execSQL(t, b.ctx, b.pool, record, 1, 4)
	execSQL(t, b.ctx, b.pool, record, 0, 3)
	awaitSQL(t, b, "", failing)
	execSQL(t, b.ctx, b.pool, record, 0, 4)
	awaitSQL(t, b, "4  1 why t", failing)
	rounds(t, b, 1, "a-1")
	awaitCheckpoint(t, b, s)
	awaitSQL(t, b, "", failing)
}
