package integration_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// makeUnreadable makes events unreadable, as a disk that has lost a part of them would: their payload is no JSON any more, and the server says so
// at once when it is to print it.
func makeUnreadable(t testing.TB, b *bundle, positions ...int64) {
	t.Helper()
	conn := session(t, b)
	for _, sql := range []string{
		`CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION`, `SET session_replication_role = replica`,
	} {
		execSQL(t, b.ctx, conn, sql)
	}
	execSQL(t, b.ctx, conn, `UPDATE eventstream.events SET payload = '\x00000000'::bytea::jsonb WHERE position = ANY ($1)`, positions)
	execSQL(t, b.ctx, conn, `DROP CAST (bytea AS jsonb)`)
}

// met is what a loop gets that goes on: positions, those of unreadable events below 0.
func met(t testing.TB, b *bundle, repo *eventstream.Repository, opts eventstream.LogOptions) (positions []int64) {
	t.Helper()
	for e, err := range repo.ReadLog(b.ctx, opts) {
		var unreadable *eventstream.UnreadableEventError
		if errors.As(err, &unreadable) {
			require.Equal(t, unreadable.Event, e.Event)
			require.Nil(t, e.Payload)
			e.Position = -e.Position
		} else {
			require.NoError(t, err)
			require.Equal(t, e.Position, e.Sequence, "what is passed is counted")
		}
		positions = append(positions, e.Position)
	}
	return positions
}

// metOf is met for the versions of a stream.
func metOf(t testing.TB, b *bundle, repo *eventstream.Repository, id eventstream.StreamID, opts eventstream.ReadOptions) (versions []int64) {
	t.Helper()
	for e, err := range repo.Read(b.ctx, id, opts) {
		if errors.Is(err, eventstream.ErrUnreadableEvent) {
			e.Version = -e.Version
		} else {
			require.NoError(t, err)
		}
		versions = append(versions, e.Version)
	}
	return versions
}

// However large the pages, wherever reading begins, and though a version is missing, which nobody but a superuser can bring about.
func TestUnreadableEventIsPassedWhateverThePages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 12)
	makeUnreadable(t, b, 1, 6, 12)
	all := []int64{-1, 2, 3, 4, 5, -6, 7, 8, 9, 10, 11, -12}
	gap := []int64{-1, 2, 3, -6, 7, 8, 9, 10, 11, -12}
	check := func(want []int64) {
		down := slices.Clone(want)
		slices.Reverse(down)
		for _, size := range []int{1, 2, 3, 5, 7, 100} {
			repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{PageSize: size})
			require.NoError(t, err)
			require.Equal(t, want, metOf(t, b, repo, "order-1", eventstream.ReadOptions{}), size)
			require.Equal(t, want[1:], metOf(t, b, repo, "order-1", eventstream.ReadOptions{From: 2}), size)
			for _, from := range []int64{0, 12, 13, 1000} {
				require.Equal(t, down, metOf(t, b, repo, "order-1", eventstream.ReadOptions{From: from, Backwards: true}), size)
			}
			require.Empty(t, metOf(t, b, repo, "order-1", eventstream.ReadOptions{From: 13}))
		}
	}
	check(all)
	conn := session(t, b)
	simple(t, conn, `SET session_replication_role = replica`, `DELETE FROM eventstream.events WHERE version IN (4, 5)`)
	check(gap)
}

func TestUnreadableEventIsNamedByReadersOfItsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := pagedRepo(t, b.pool)
	events := given(t, b, "order-1", 10)
	makeUnreadable(t, b, 5, 6, 9)

	_, err := repo.Load(b.ctx, "order-1")
	require.ErrorIs(t, err, eventstream.ErrUnreadableEvent)
	var unreadable *eventstream.UnreadableEventError
	require.ErrorAs(t, err, &unreadable)
	require.Equal(t, events[4].ID, unreadable.Event.ID)
	require.Equal(t, []int64{5, 5}, []int64{unreadable.Event.Version, unreadable.Event.Position})
	require.Contains(t, err.Error(), `version 5 of stream "order-1"`)
	require.Contains(t, unreadable.Problem, "unknown type of jsonb container")
	_, err = repo.GetOrCreate(b.ctx, "order-1")
	require.ErrorIs(t, err, eventstream.ErrUnreadableEvent)
	_, err = repo.Event(b.ctx, events[5].ID)
	require.ErrorAs(t, err, &unreadable)
	require.Equal(t, []int64{6, 6}, []int64{unreadable.Event.Version, unreadable.Event.Position})

	read := func(opts eventstream.ReadOptions) []int64 { return metOf(t, b, repo, "order-1", opts) }
	all := []int64{1, 2, 3, 4, -5, -6, 7, 8, -9, 10}
	require.Equal(t, all, read(eventstream.ReadOptions{}))
	for from := int64(1); from <= 10; from++ {
		require.Equal(t, all[from-1:], read(eventstream.ReadOptions{From: from}))
		down := slices.Clone(all[:from])
		slices.Reverse(down)
		require.Equal(t, down, read(eventstream.ReadOptions{From: from, Backwards: true}))
		require.Equal(t, all[:from], read(eventstream.ReadOptions{Limit: int(from)}))
	}
	slices.Reverse(all)
	require.Equal(t, all, read(eventstream.ReadOptions{Backwards: true}))
	for _, err := range repo.Read(b.ctx, "order-1", eventstream.ReadOptions{From: 5}) {
		require.ErrorIs(t, err, eventstream.ErrUnreadableEvent)
		break
	}
	// The rest of the store is as it was.
	given(t, b, "order-2", 1)
	_, err = repo.Load(b.ctx, "order-2")
	require.NoError(t, err)
	result, err := repo.Append(b.ctx, "order-1", eventstream.Exact(10), anEvent(t, 11))
	require.NoError(t, err)
	require.Equal(t, int64(11), result.LastVersion)
}

// JSON that has become too long to be printed, put in past the gate: Load ends with an error that says which event it is.
func TestUnreadableEventThatExpandsIsNamed(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	given(t, b, "order-1", 2)
	conn := session(t, b)
	execSQL(t, b.ctx, conn, `SET session_replication_role = replica`)
	execSQL(t, b.ctx, conn, `UPDATE eventstream.events SET payload = $1::text::jsonb WHERE version = 2`, expanding(8300))
	_, err := b.repo.Load(b.ctx, "order-1")
	var unreadable *eventstream.UnreadableEventError
	require.ErrorAs(t, err, &unreadable)
	require.Equal(t, int64(2), unreadable.Event.Version)
}

func TestUnreadableEventIsPassedByReadersOfTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	repo := pagedRepo(t, b.pool)
	for i := range 40 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("%s-%d", []string{"order", "cart"}[i%2], i)), 2)
	}
	seed := newRand(t)
	var damaged []int64
	for len(damaged) < 12 {
		if at := 1 + seed.Int64N(80); !slices.Contains(damaged, at) {
			damaged = append(damaged, at)
		}
	}
	damaged = append(damaged, 1, 80) // the first and the last as well, which may come twice
	makeUnreadable(t, b, damaged...)

	var all []int64
	for at := int64(1); at <= 80; at++ {
		if slices.Contains(damaged, at) {
			all = append(all, -at)
		} else {
			all = append(all, at)
		}
	}
	up := func(keep func(position int64) bool) (some []int64) {
		for i, at := range all {
			if keep(int64(i + 1)) {
				some = append(some, at)
			}
		}
		return some
	}
	down := slices.Clone(all)
	slices.Reverse(down)
	require.Equal(t, all, met(t, b, repo, eventstream.LogOptions{}))
	require.Equal(t, down, met(t, b, repo, eventstream.LogOptions{Backwards: true}))
	require.Equal(t, all, met(t, b, b.repo, eventstream.LogOptions{}), "in large pages")
	require.Equal(t, down, met(t, b, b.repo, eventstream.LogOptions{Backwards: true}), "in large pages")
	require.Equal(t, all[:30], met(t, b, repo, eventstream.LogOptions{Limit: 30}))
	from := 1 + rand.Int64N(80) //nolint:gosec // a place to start
	require.Equal(t, all[from-1:], met(t, b, repo, eventstream.LogOptions{From: eventstream.FromPosition(from)}))
	inCart := texts(t, b, `SELECT position::text FROM eventstream.events WHERE eventstream.category(stream_id) = 'cart'`)
	require.Equal(t, up(func(at int64) bool { return slices.Contains(inCart, fmt.Sprint(at)) }),
		met(t, b, repo, eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "cart"}}))
	inSome := texts(t, b, `SELECT position::text FROM eventstream.events WHERE partition_id < 9`)
	require.Equal(t, up(func(at int64) bool { return slices.Contains(inSome, fmt.Sprint(at)) }),
		met(t, b, repo, eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}}}))

	// In a transaction the server's error is the end.
	require.Error(t, discarded(t, b, func(tx pgx.Tx) (last error) {
		for _, err := range repo.WithTx(tx).ReadLog(b.ctx, eventstream.LogOptions{}) {
			require.NoError(t, last, "nothing after an error")
			last = err
		}
		return last
	}))
}

// Whatever the kind of handler, an event that cannot be read is put aside, and the others come.
func TestUnreadableEventIsParked(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		for i := range 20 {
			given(t, b, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 2)
		}
		makeUnreadable(t, b, 1, 17, 18, 40)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, nil), quick(subscription.Park))
		keepRunning(t, b, s)
		require.NoError(t, s.WaitFor(b.ctx, 40))
		requireHandledOnce(t, b, 1, 17, 18, 40)
		require.Equal(t, []int64{1, 17, 18, 40}, parkedPositions(t, b, "reader"))
		require.Equal(t, int64(4), number(t, b.ctx, b.pool,
			`SELECT count(*) FROM eventstream.parked_events WHERE error LIKE '%cannot be read: unknown type of jsonb container%'`))
		given(t, b, "later-1", 1)
		require.NoError(t, s.WaitFor(b.ctx, 41))
		requireHandledOnce(t, b, 1, 17, 18, 40)

		handled, err := s.ReplayParked(b.ctx)
		require.Zero(t, handled)
		require.ErrorIs(t, err, eventstream.ErrUnreadableEvent)
	})
}

// A stream of which an event cannot be read waits as a whole, if that is the policy.
func TestUnreadableEventHoldsItsStream(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		given(t, b, "order-1", 3)
		given(t, b, "order-2", 3)
		makeUnreadable(t, b, 2)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, nil), quick(subscription.ParkStream))
		keepRunning(t, b, s)
		require.NoError(t, s.WaitFor(b.ctx, 6))
		require.Equal(t, []int64{2, 3}, parkedPositions(t, b, "reader"))
		requireHandledOnce(t, b, 2, 3)
	})
}

// With Stop, Run says which event it is; it is skipped, and the next Run goes on after it.
func TestUnreadableEventStopsAndIsSkipped(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		events := given(t, b, "order-1", 5)
		makeUnreadable(t, b, 3)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, nil), quick(subscription.Stop))
		err := s.Run(b.ctx)
		var failed *subscription.HandlerError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, events[2].ID, failed.Event.ID)
		require.ErrorIs(t, err, eventstream.ErrUnreadableEvent)
		require.Contains(t, err.Error(), "SkipEvent")
		requireHandledOnce(t, b, 3, 4, 5)

		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", 3, "lost"))
		keepRunning(t, b, s)
		require.NoError(t, s.WaitFor(b.ctx, 5))
		requireHandledOnce(t, b, 3)
	})
}

// An event that cannot be read has its number in its partition too: those after it, and before it, keep theirs.
func TestUnreadableEventHasItsNumberInItsPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 12)
	makeUnreadable(t, b, 6)
	for _, backwards := range []bool{false, true} {
		numbers := map[int64]int64{}
		for e, err := range b.repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: backwards}) {
			if !errors.Is(err, eventstream.ErrUnreadableEvent) {
				require.NoError(t, err)
				numbers[e.Version] = e.PartitionSequence
			}
		}
		requireNumberedAsVersions(t, numbers)
	}
	j := newJournal()
	s := subscribe(t, b, "reader", subscription.EffectHandler(j.effect), quick(subscription.Park))
	require.NoError(t, s.Create(b.ctx))
	keepRunning(t, b, s)
	require.NoError(t, s.WaitFor(b.ctx, 12))
	numbers := map[int64]int64{}
	for _, e := range j.all() {
		numbers[e.Version] = e.PartitionSequence
	}
	requireNumberedAsVersions(t, numbers)
}

// requireNumberedAsVersions demands that eleven of twelve events of one stream, alone in its partition, have the numbers of their versions.
func requireNumberedAsVersions(t *testing.T, numbers map[int64]int64) {
	t.Helper()
	require.Len(t, numbers, 11)
	for version, number := range numbers {
		require.Equal(t, version, number)
	}
}
