package integration_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// A handler that fails for a while is tried again, after pauses that grow, and then everything was handled once, in order.
func TestSubscriptionRetriesUntilItSucceeds(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1", "c-1")
		sick := positionOf(t, b, "b-1", 5)
		p := poisoned(3, sick)
		told := newWitness()
		config := &subscription.Config{
			MinBackoff: 10 * time.Millisecond, MaxBackoff: 40 * time.Millisecond, Observer: told.observe,
		}
		began := time.Now()
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config)
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop() // by then, all is told
		requireHandledOnce(t, b)
		require.GreaterOrEqual(t, time.Since(began), (10+20+40)*time.Millisecond, "three pauses that double")
		require.Equal(t, 4, p.triedAlone(sick))
		failed := toldOf[subscription.TryFailed](told)
		require.NotEmpty(t, failed)
		for _, f := range failed {
			require.ErrorIs(t, f.Err, errPoison, "the observer is told what the handler returned")
		}
		require.Empty(t, toldOf[subscription.Interrupted](told))
		require.Empty(t, parkedPositions(t, b, "reader"))
	})
}

// An error that the database raised because of others is no reason to give an event up, however often it comes.
func TestSubscriptionDoesNotGiveUpOnLostConnections(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1")
		p := poisoned(8, positionOf(t, b, "a-1", 2))
		lost := requireSQLState(t, func() error {
			_, err := b.pool.Exec(b.ctx, `DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$`)
			return err
		}(), "40P01")
		p.fail = func(eventstream.LogEvent) error { return lost }
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.Stop))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b)
	})
}

// With Stop, Run returns the event and the error; what comes before it is handled, nothing after it; the next Run tries it again.
func TestSubscriptionStopsAndTriesAgain(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1")
		sick := positionOf(t, b, "b-1", 5)
		p := poisoned(-1, sick)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.Stop))
		for range 2 {
			before := p.triedAlone(sick)
			err := run1(t, b, s).wait(t, b)
			var stopped *subscription.HandlerError
			require.ErrorAs(t, err, &stopped)
			require.ErrorIs(t, err, errPoison)
			require.Equal(t, "reader", stopped.Subscription)
			require.Equal(t, []any{sick, eventstream.StreamID("b-1"), int64(5), 3},
				[]any{stopped.Event.Position, stopped.Event.StreamID, stopped.Event.Version, stopped.Tries})
			require.ErrorContains(t, err, "SkipEvent")
			require.Equal(t, 3, p.triedAlone(sick)-before, "MaxTries is how often an event is tried by itself")
			require.Equal(t, upTo(5), handledVersions(t, b, "a-1"))
			require.Equal(t, upTo(4), handledVersions(t, b, "b-1"))
			requireFree(t, b, "reader")
		}
		p.cure(sick)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b)
	})
}

// requireFree demands that nobody owns a shard, without waiting: a Run that has returned gave all back.
func requireFree(t testing.TB, b *bundle, name string) {
	t.Helper()
	requireNoRow(t, b, `SELECT shard, member_id FROM eventstream.subscription_shards WHERE subscription = $1 AND member_id IS NOT NULL`, name)
}

// A person skips the event that a subscription is stuck on, while it runs or after it stopped, and one that is still to come.
func TestSubscriptionSkipByHand(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1")
		stuck, later, stopped := positionOf(t, b, "b-1", 5), positionOf(t, b, "b-1", 8), positionOf(t, b, "a-1", 2)
		p := poisoned(-1, stuck, stopped)
		config := quick(subscription.Stop)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config)
		var failed *subscription.HandlerError
		require.ErrorAs(t, run1(t, b, s).wait(t, b), &failed)
		require.Equal(t, stopped, failed.Event.Position)
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", stopped, "bad import"))

		config.MaxTries = 1_000_000
		s = subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config)
		keepRunning(t, b, s)
		awaitSQL(t, b, "8", `SELECT count(*)::text FROM public.handled`)
		// A skip takes the shard from its owner: what an effect did above the checkpoint would be done again.
		require.NoError(t, s.WaitFor(b.ctx, stuck-1))
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", later, "was never meant"))
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", stuck, "cannot be handled, see ticket 7"))
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b, stopped, stuck, later)

		rows, err := b.pool.Query(b.ctx, `
			SELECT format('%s %s %s %s', position, skipped_by = session_user, skipped_at <= clock_timestamp(), reason)
			FROM eventstream.subscription_skips WHERE subscription = 'reader' ORDER BY position`)
		require.NoError(t, err)
		recorded, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, []string{"3 t t bad import", "10 t t cannot be handled, see ticket 7", "16 t t was never meant"}, recorded)
	})
}

// What was skipped stays on record, and a skip needs a subscription, an event and a reason.
func TestSubscriptionSkipsAreAudited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 2, "a-1")
	s := subscribe(t, b, "reader", subscription.EffectHandler(newJournal().effect), nil)
	run1(t, b, s)
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.subscriptions`)

	var invalid *eventstream.InvalidValueError
	for _, reason := range []string{"", " \t\n"} {
		require.ErrorAs(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 1, reason), &invalid)
		require.Equal(t, "reason", invalid.Field)
	}
	for _, position := range []int64{-1, 0, 99} {
		require.ErrorAs(t, subscription.SkipEvent(b.ctx, b.repo, "reader", position, "why"), &invalid)
		require.Equal(t, "position", invalid.Field)
	}
	var unknown *subscription.NotFoundError
	require.ErrorAs(t, subscription.SkipEvent(b.ctx, b.repo, "writer", 1, "why"), &unknown)
	require.Equal(t, "writer", unknown.Name)

	require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 1, "why"))
	require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 1, "again"), "a second time changes nothing")
	for _, sql := range []string{
		`DELETE FROM eventstream.subscription_skips`, `UPDATE eventstream.subscription_skips SET reason = 'other'`,
		`TRUNCATE eventstream.subscription_skips`,
	} {
		_, err := b.pool.Exec(b.ctx, sql)
		requireSQLState(t, err, "ES004")
	}
	require.NoError(t, subscription.Delete(b.ctx, b.repo, "reader"))
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscription_skips WHERE reason = 'why'`))
}

// A thousand events with one that cannot be handled in their middle: all others are handled exactly once, in few tries.
func TestSubscriptionPoisonAmongAThousand(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		var requests []eventstream.AppendRequest
		for i := range 20 {
			requests = append(requests, eventstream.AppendRequest{
				StreamID: streamName(i), Expected: eventstream.Empty, Events: someEvents(t, 50),
			})
		}
		_, err := b.repo.AppendMany(b.ctx, requests...)
		require.NoError(t, err)
		sick := positionOf(t, b, streamName(11), 17)
		p := poisoned(-1, sick)
		calls := 0
		decide := func(events []eventstream.LogEvent) error {
			p.mu.Lock()
			calls++
			p.mu.Unlock()
			return p.decide(events)
		}
		config := quick(subscription.Park)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, decide), config)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		if kind == "async" { // batches after the failed one come again, after it
			requireNoRow(t, b, `SELECT position FROM eventstream.events WHERE position <> $1 EXCEPT SELECT position FROM public.handled`, sick)
		} else {
			requireHandledOnce(t, b, sick)
		}
		require.Equal(t, []int64{sick}, parkedPositions(t, b, "reader"))
		p.mu.Lock()
		defer p.mu.Unlock()
		require.Less(t, calls, 60, "the event is found by halves")
	})
}

func streamName(i int) eventstream.StreamID {
	return eventstream.StreamID("s-" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
}

// A handler may do with its slice what it likes, and what fails is tried again all the same.
func TestSubscriptionHandlerOwnsItsSlice(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1")
		first := true
		var mu sync.Mutex
		decide := func(events []eventstream.LogEvent) error {
			mu.Lock()
			defer mu.Unlock()
			if !first {
				return nil
			}
			first = false
			clear(events)
			return errors.New("once")
		}
		s := subscribe(t, b, "reader", handlerKinds[kind](b, decide), quick(subscription.Stop))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b)
	})
}
