package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// With Park the event is put aside, with what went wrong, and everything else goes on.
func TestSubscriptionPark(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1")
		sick := positionOf(t, b, "b-1", 5)
		p := poisoned(-1, sick)
		config := quick(subscription.Park)
		config.Shards = 4
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		rounds(t, b, 5, "b-1")
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b, sick)

		parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader"))
		require.Len(t, parked, 1)
		require.False(t, parked[0].ParkedAt.IsZero())
		parked[0].ParkedAt = parked[0].ParkedAt.Truncate(0)
		require.Equal(t, []any{"reader", sick, eventstream.StreamID("b-1"), int64(5), errPoison.Error(), 3},
			[]any{parked[0].Subscription, parked[0].Position, parked[0].StreamID, parked[0].Version, parked[0].Error, parked[0].Tries})
		lag, err := s.Lag(b.ctx)
		require.NoError(t, err)
		var counted, handled int64
		for _, shard := range lag {
			counted, handled = counted+shard.Parked, handled+shard.Handled
		}
		require.Equal(t, []int64{1, 24}, []int64{counted, handled})
	})
}

// With ParkStream what comes later of the same stream waits behind, within the same batch and in later ones, also after a restart; other
// streams go on.
func TestSubscriptionParkStream(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 10, "a-1", "b-1", "c-1")
		sick, alsoSick := positionOf(t, b, "b-1", 5), positionOf(t, b, "b-1", 7)
		p := poisoned(-1, sick, alsoSick)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.ParkStream))
		first := run1(t, b, s)
		awaitCheckpoint(t, b, s)
		requireWaits := func(last int64) {
			t.Helper()
			require.Equal(t, upTo(4), handledVersions(t, b, "b-1"), "nothing after the parked event")
			require.Equal(t, upTo(last), handledVersions(t, b, "a-1"))
			require.Equal(t, upTo(last), handledVersions(t, b, "c-1"))
			for i, parked := range readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader")) {
				require.Equal(t, []any{eventstream.StreamID("b-1"), int64(5 + i)}, []any{parked.StreamID, parked.Version})
				if i == 0 {
					require.Equal(t, []any{3, errPoison.Error()}, []any{parked.Tries, parked.Error})
				} else {
					require.Equal(t, []any{0, "waits behind a parked event of its stream"}, []any{parked.Tries, parked.Error})
				}
			}
			require.Len(t, parkedPositions(t, b, "reader"), int(last-4))
		}
		requireWaits(10)
		rounds(t, b, 5, "a-1", "b-1", "c-1")
		awaitCheckpoint(t, b, s)
		requireWaits(15)
		first.stop(t)
		rounds(t, b, 5, "a-1", "b-1", "c-1")
		again := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.ParkStream))
		keepRunning(t, b, again)
		awaitCheckpoint(t, b, again)
		requireWaits(20)

		// The first one heals: the replay gets as far as the second one.
		p.cure(sick)
		handled, err := s.ReplayParked(b.ctx)
		require.Equal(t, 2, handled)
		require.ErrorIs(t, err, errPoison)
		require.Equal(t, upTo(6), handledVersions(t, b, "b-1"))
		require.Len(t, parkedPositions(t, b, "reader"), 14)
		p.cure(alsoSick)
		handled, err = s.ReplayParked(b.ctx)
		require.NoError(t, err)
		require.Equal(t, 14, handled)
		rounds(t, b, 2, "a-1", "b-1", "c-1")
		awaitCheckpoint(t, b, again)
		requireHandledOnce(t, b)
	})
}

// A process that dies between two parts of a failed batch leaves nothing out: what waits behind a parked event is parked with the part of
// the batch that passes it, not later.
func TestSubscriptionParkStreamLosesNothingInTheMiddle(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 1, "b-1")
		p := poisoned(-1, 1)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.ParkStream))
		first := run1(t, b, s)
		awaitCheckpoint(t, b, s)
		first.stop(t)

		// One batch: the second of b waits, a's are handled, c's is tried for as long as the process lives.
		rounds(t, b, 2, "b-1", "a-1")
		rounds(t, b, 1, "c-1")
		sick := positionOf(t, b, "c-1", 1)
		p = poisoned(-1, sick)
		config := quick(subscription.ParkStream)
		config.MaxTries = 1_000_000
		second := run1(t, b, subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), config))
		awaitSQL(t, b, "2", `SELECT count(*)::text FROM public.handled`)
		awaitSQL(t, b, fmt.Sprint(sick-1), `SELECT position::text FROM eventstream.subscription_shards`)
		second.stop(t)

		third := subscribe(t, b, "reader", handlerKinds[kind](b, nil), config)
		keepRunning(t, b, third)
		awaitCheckpoint(t, b, third)
		require.Equal(t, []int64{1, 2, 4}, parkedPositions(t, b, "reader"))
		_, err := third.ReplayParked(b.ctx)
		require.NoError(t, err)
		requireHandledOnce(t, b)
	})
}

// A replay that fails again counts its tries, keeps the later ones of its stream, and goes on with other streams.
func TestSubscriptionReplayFailsAgain(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1", "b-1", "c-1")
		p := poisoned(-1, 1, 2, 5) // a's first, b's first and second
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.ParkStream))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		p.cure(1)
		for tries := 4; tries <= 5; tries++ {
			handled, err := s.ReplayParked(b.ctx)
			require.Equal(t, map[int]int{4: 3, 5: 0}[tries], handled)
			require.ErrorIs(t, err, errPoison)
			require.ErrorContains(t, err, `event at position 2 (version 1 of stream "b-1")`)
			parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader"))
			require.Len(t, parked, 3)
			require.Equal(t, []int{tries, 0, 0}, []int{parked[0].Tries, parked[1].Tries, parked[2].Tries})
		}
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 2, "of no use"), "skipping frees the stream")
		require.Equal(t, []int64{5, 8}, parkedPositions(t, b, "reader"))
		p.cure(5)
		handled, err := s.ReplayParked(b.ctx)
		require.NoError(t, err)
		require.Equal(t, 2, handled)
		requireHandledOnce(t, b, 2)
		handled, err = s.ReplayParked(b.ctx)
		require.NoError(t, err)
		require.Zero(t, handled, "nothing is left")
	})
}

// Two replays at once: one works on an event while the other waits, and each event is handled once. If the first one fails meanwhile, it
// does not park again what the second one has handled.
func TestSubscriptionTwoReplaysAtOnce(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1")
		p := poisoned(-1, 1)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, p.decide), quick(subscription.ParkStream))
		run1(t, b, s)
		awaitCheckpoint(t, b, s)

		entered, fail := make(chan struct{}), make(chan error)
		failing := subscribe(t, b, "reader", handlerKinds[kind](b, func([]eventstream.LogEvent) error {
			close(entered)
			return <-fail
		}), quick(subscription.ParkStream))
		first := start(func() (int, error) { return failing.ReplayParked(b.ctx) })
		<-entered
		other := anotherProcess(t, b, nil)
		good, err := subscription.New(other.repo, "reader", handlerKinds[kind](b, nil), quick(subscription.ParkStream))
		require.NoError(t, err)
		second := start(func() (int, error) { return good.ReplayParked(b.ctx) })
		awaitSQL(t, b, "1", `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		fail <- errors.New("not me")
		failed, handled := <-first, <-second
		require.ErrorContains(t, failed.err, "not me")
		require.NoError(t, handled.err)
		require.Equal(t, 3, failed.value+handled.value)
		requireHandledOnce(t, b)
		require.Empty(t, parkedPositions(t, b, "reader"))
	})
}

// Many replays beside the running subscription, and appends to the same streams: each event once, in order.
func TestSubscriptionReplaysBesideTheRun(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t, withMaxConns(16)))
	rounds(t, b, 20, "a-1", "b-1", "c-1")
	p := poisoned(-1, 4, 8, 15)
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, p.decide), quick(subscription.ParkStream))
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	p.cure(4, 8, 15)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 5 {
				_, err := s.ReplayParked(b.ctx)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	rounds(t, b, 20, "a-1", "b-1", "c-1")
	group.Wait()
	awaitCheckpoint(t, b, s)
	_, err := s.ReplayParked(b.ctx) // what was parked behind one that was replayed in that moment
	require.NoError(t, err)
	requireHandledOnce(t, b)
}

// What a handler says is kept as far as PostgreSQL can keep it.
func TestSubscriptionParksAnyError(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1")
	p := poisoned(-1, 1, 2, 3)
	p.fail = func(e eventstream.LogEvent) error {
		return errors.New(map[int64]string{1: "nul \x00 byte", 2: "half \xc3 letter", 3: strings.Repeat("long ", 1<<20)}[e.Position])
	}
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, p.decide), quick(subscription.Park))
	s2 := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	s2()
	parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader"))
	require.Len(t, parked, 3)
	require.Equal(t, "nul \ufffd byte", parked[0].Error)
	require.Equal(t, "half \ufffd letter", parked[1].Error)
	require.Len(t, parked[2].Error, 8<<10)
	_, err := s.ReplayParked(context.WithoutCancel(b.ctx))
	require.Error(t, err)
	require.Equal(t, 4, readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader"))[0].Tries)
}
