package integration_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// positionsSQL gives positions as numbers, in order.
func positionsSQL(t testing.TB, b *bundle, sql string, args ...any) []int64 {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, sql, args...)
	require.NoError(t, err)
	positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return positions
}

// requireStart demands that a subscription that is created now, with one shard or several, gets the events that a query selects, and
// then goes on with what is appended.
func requireStart(t *testing.T, b *bundle, from eventstream.Start, where string, args ...any) {
	t.Helper()
	for _, shards := range []int{1, 4} {
		want := positionsSQL(t, b, `SELECT position FROM eventstream.events AS e WHERE `+where+` ORDER BY position`, args...)
		name := fmt.Sprintf("reader-%d-%d", shards, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions`))
		j := newJournal()
		config := &subscription.Config{From: from, Shards: shards}
		stop := keepRunning(t, b, subscribe(t, b, name, subscription.EffectHandler(j.effect), config))
		s := subscribe(t, b, name, nothing, &subscription.Config{Shards: shards})
		awaitCheckpoint(t, b, s)
		stop()
		got := []int64{}
		for _, e := range j.all() {
			got = append(got, e.Position)
		}
		if shards == 1 {
			require.Equal(t, append([]int64{}, want...), got, "%v", from)
		} else {
			require.ElementsMatch(t, want, got, "%v", from)
		}

		// The start counts at creation alone.
		rounds(t, b, 1, "late-1", "late-2")
		again := newJournal()
		config.From = eventstream.FromBeginning
		stop = keepRunning(t, b, subscribe(t, b, name, subscription.EffectHandler(again.effect), config))
		awaitCheckpoint(t, b, s)
		stop()
		require.Len(t, again.all(), 2)
		for _, e := range again.all() {
			require.Equal(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE position <= $1`, e.Position), e.Sequence)
			require.Equal(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE position <= $1 AND partition_id = $2`,
				e.Position, e.PartitionID), e.PartitionSequence)
		}
	}
}

// withHoles gives a log whose positions have holes, and numbers that differ from them.
func withHoles(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	for i := range 30 {
		rounds(t, b, 1, streamName(i%7), streamName(i%3), "other-1")
		if i%4 == 0 {
			execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq') FROM generate_series(1, 3)`)
		}
	}
	return b
}

func TestSubscriptionStartsAtAPlace(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := withHoles(t)
	last := drawn(t, b)
	requireStart(t, b, nil, `true`)
	requireStart(t, b, eventstream.FromBeginning, `true`)
	requireStart(t, b, eventstream.FromLatest, `false`)
	for _, position := range []int64{1, 4, 40, last} { // 4 is in a hole
		requireStart(t, b, eventstream.FromPosition(position), `position >= $1`, position)
	}
	last = drawn(t, b)
	requireStart(t, b, eventstream.FromPosition(last+1), `position > $1`, last)
	for _, sequence := range []int64{2, 17, 1 + number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`)} {
		requireStart(t, b, eventstream.FromSequence(sequence),
			`(SELECT count(*) FROM eventstream.events AS f WHERE f.position <= e.position) >= $1`, sequence)
	}
}

func TestSubscriptionStartsAtATime(t *testing.T) {
	t.Parallel()
	b := withHoles(t)
	var middle time.Time
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT recorded_at FROM eventstream.events ORDER BY position OFFSET 40 LIMIT 1`).Scan(&middle))
	requireStart(t, b, eventstream.FromTime(middle), `recorded_at >= $1`, middle)
	requireStart(t, b, eventstream.FromTime(middle.Add(-time.Hour)), `true`)
	requireStart(t, b, eventstream.FromTime(time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC)), `true`)
	var now time.Time
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT clock_timestamp()`).Scan(&now))
	requireStart(t, b, eventstream.FromTime(now), `recorded_at >= $1`, now)
}

// Partitions start each at a number of its own, those that are not named with their first event.
func TestSubscriptionStartsAtPartitionSequences(t *testing.T) {
	t.Parallel()
	b := withHoles(t)
	type partition struct{ id, events int64 }
	rows, err := b.pool.Query(b.ctx, `SELECT partition_id::integer, count(*) FROM eventstream.events GROUP BY partition_id ORDER BY count(*) DESC`)
	require.NoError(t, err)
	partitions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		return p, row.Scan(&p.id, &p.events)
	})
	require.NoError(t, err)
	require.Greater(t, len(partitions), 3)
	most, second, third := partitions[0], partitions[1], partitions[2]
	const where = `(SELECT count(*) FROM eventstream.events AS f WHERE f.partition_id = e.partition_id AND f.position <= e.position)
		>= CASE e.partition_id WHEN $1 THEN $2 WHEN $3 THEN $4 WHEN $5 THEN $6 ELSE 1 END`
	requireStart(t, b, eventstream.FromPartitionSequences(map[int]int64{
		int(most.id): 5, int(second.id): second.events, int(third.id): 1,
	}), where, most.id, 5, second.id, second.events, third.id, 1)
	requireStart(t, b, eventstream.FromPartitionSequences(nil), `true`)

	// All partitions beyond what is there by now: only what comes gets through.
	beyond := map[int]int64{}
	for id := range 32 {
		beyond[id] = 1 + number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE partition_id = $1`, id)
	}
	config := &subscription.Config{From: eventstream.FromPartitionSequences(beyond), Shards: 3}
	j := newJournal()
	keepRunning(t, b, subscribe(t, b, "beyond", subscription.EffectHandler(j.effect), config))
	rounds(t, b, 2, "late-1", "late-2", "late-3")
	awaitCheckpoint(t, b, subscribe(t, b, "beyond", nothing, config))
	require.Len(t, j.all(), 6)
}

// An event that was in flight when a subscription started with the latest is delivered once it is committed, and what was committed ahead
// of it too.
func TestSubscriptionStartsWhileEventsAreInFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "before-1", 3)
	writer := newActor(t, b)
	_, err := writer.repo.Append(b.ctx, "slow-1", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	given(t, b, "fast-1", 2)
	j, at := newJournal(), newJournal()
	keepRunning(t, b, subscribe(t, b, "latest", subscription.EffectHandler(j.effect), &subscription.Config{From: eventstream.FromLatest}))
	keepRunning(t, b, subscribe(t, b, "position", subscription.EffectHandler(at.effect), &subscription.Config{
		From: eventstream.FromPosition(6), // committed, but not stable yet
	}))
	require.Empty(t, j.all())
	writer.end(t, b, true)
	events := j.waitCount(t, b.ctx, 3)
	require.Equal(t, []int64{4, 5, 6}, []int64{events[0].Position, events[1].Position, events[2].Position})
	require.Equal(t, []int64{4, 5, 6}, []int64{events[0].Sequence, events[1].Sequence, events[2].Sequence})
	require.Equal(t, int64(6), at.waitCount(t, b.ctx, 1)[0].Position)
}

// A start that the log has not reached is refused, by creation and by a reset, and nothing is created.
func TestSubscriptionStartsBeyondTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "a-1", 5)
	partition := int(number(t, b.ctx, b.pool, `SELECT partition_id FROM eventstream.streams`))
	keepRunning(t, b, subscribe(t, b, "there", nothing, nil))
	for _, c := range []struct {
		from  eventstream.Start
		field string
		value int64
		last  int64
	}{
		{eventstream.FromPosition(7), "position", 7, 5},
		{eventstream.FromSequence(7), "sequence", 7, 5},
		{eventstream.FromPartitionSequences(map[int]int64{partition: 7}), fmt.Sprintf("sequence of partition %d", partition), 7, 5},
		{eventstream.FromPartitionSequences(map[int]int64{(partition + 1) % 32: 2}), fmt.Sprintf("sequence of partition %d", (partition+1)%32), 2, 0},
	} {
		for name, err := range map[string]error{
			"new":   subscribe(t, b, "new", nothing, &subscription.Config{From: c.from}).Run(b.ctx),
			"reset": subscription.Reset(b.ctx, b.repo, "there", c.from),
		} {
			var beyond *eventstream.BeyondLogError
			require.ErrorAs(t, err, &beyond, name)
			require.ErrorIs(t, err, eventstream.ErrBeyondLog)
			require.Equal(t, eventstream.BeyondLogError{Field: c.field, Value: c.value, Last: c.last}, *beyond)
			require.EqualError(t, err, fmt.Sprintf("%s %d is beyond the end of the log, which is at %d: a value from another database does not fit this one",
				c.field, c.value, c.last))
		}
	}
	var invalid *eventstream.InvalidValueError
	for field, from := range map[string]eventstream.Start{
		"start time":     eventstream.FromTime(time.Now().Add(time.Hour)),
		"start position": eventstream.FromPosition(0),
		"start sequence": eventstream.FromSequence(-1),
		fmt.Sprintf("start sequence of partition %d", partition): eventstream.FromPartitionSequences(map[int]int64{partition: 0}),
		"start partition": eventstream.FromPartitionSequences(map[int]int64{-1: 1}),
	} {
		require.ErrorAs(t, subscribe(t, b, "new", nothing, &subscription.Config{From: from}).Run(b.ctx), &invalid, field)
		require.Equal(t, field, invalid.Field)
		require.ErrorAs(t, subscription.Reset(b.ctx, b.repo, "there", from), &invalid, field)
	}
	require.ErrorAs(t, subscribe(t, b, "new", nothing, &subscription.Config{From: eventstream.FromTime(time.Time{})}).Run(b.ctx), &invalid)
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions`))
	require.Zero(t, number(t, context.Background(), b.pool, `SELECT count(*) FROM eventstream.subscription_shards WHERE subscription = 'new'`))
}
