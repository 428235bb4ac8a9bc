package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Sequence numbers: 1, 2, 3 ... in the whole log and in each partition, without a hole, the same whoever asks and whenever.

// numbering is what the log holds, as a test that counts everything sees it. It remembers what was removed.
type numbering struct {
	events []numberedEvent
	// next counts streams, so that each event is the first of its own.
	next int
}

type numberedEvent struct {
	Position, Sequence, PartitionSequence int64
	Partition                             int32
	RecordedAt                            time.Time
	removed                               bool
}

// append writes count events, each of a new stream, and of those partitions; a third of the statements is rolled back, so that the
// positions have holes. Times go up and down, as they do when writers overlap.
func (n *numbering) append(t testing.TB, b *bundle, random *rand.Rand, count int, partitions int) {
	t.Helper()
	for left := count; left > 0; {
		size := min(1+random.IntN(40), left)
		var streams []string
		var homes []int32
		var seconds []int32
		for range size {
			n.next++
			streams = append(streams, fmt.Sprintf("order-%d", n.next))
			homes = append(homes, int32(random.IntN(partitions)))
			seconds = append(seconds, int32(n.next/10-random.IntN(30)))
		}
		tx, err := b.pool.Begin(b.ctx)
		require.NoError(t, err)
		defer tx.Rollback(b.ctx)
		rows, err := tx.Query(b.ctx, `
			INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT u.s, 1, u.p, 't', '1' FROM unnest($1::text[], $2::integer[]) AS u (s, p)
			RETURNING position, 0::bigint, 0::bigint, partition_id, recorded_at`, streams, homes)
		require.NoError(t, err)
		events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[numberedEvent])
		require.NoError(t, err)
		setClock(t, b, tx, events, seconds)
		if random.IntN(3) == 0 {
			require.NoError(t, tx.Rollback(b.ctx))
			continue
		}
		require.NoError(t, tx.Commit(b.ctx))
		n.events = append(n.events, events...)
		left -= size
	}
	n.count()
}

// setClock gives events that a transaction has just inserted other times than the database's clock, which the gate takes alone.
func setClock(t testing.TB, b *bundle, tx pgx.Tx, events []numberedEvent, seconds []int32) {
	t.Helper()
	positions := make([]int64, len(events))
	times := make([]time.Time, len(events))
	for i := range events {
		events[i].RecordedAt = time.Date(2024, 1, 1, 0, 0, int(seconds[i]), 0, time.UTC)
		positions[i], times[i] = events[i].Position, events[i].RecordedAt
	}
	execSQL(t, b.ctx, tx, `SET LOCAL session_replication_role = replica`)
	execSQL(t, b.ctx, tx, `UPDATE eventstream.events AS e SET recorded_at = u.at
		FROM unnest($1::bigint[], $2::timestamptz[]) AS u (position, at) WHERE e.position = u.position`, positions, times)
	execSQL(t, b.ctx, tx, `SET LOCAL session_replication_role = origin`)
}

func (n *numbering) count() {
	last := map[int32]int64{}
	for i := range n.events {
		e := &n.events[i]
		last[e.Partition]++
		e.Sequence, e.PartitionSequence = int64(i+1), last[e.Partition]
	}
}

// remove takes events out as retention does: by the owner, with the guard away, and their numbers kept.
func (n *numbering) remove(t testing.TB, b *bundle, indexes ...int) {
	t.Helper()
	n.removeOn(t, b, b.pool, indexes...)
}

func (n *numbering) removeOn(t testing.TB, b *bundle, handle interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}, indexes ...int,
) {
	t.Helper()
	var positions []int64
	for _, i := range indexes {
		n.events[i].removed = true
		positions = append(positions, n.events[i].Position)
	}
	require.NoError(t, pgx.BeginFunc(b.ctx, handle, func(tx pgx.Tx) error {
		execSQL(t, b.ctx, tx, `SELECT eventstream.keep_sequences($1)`, positions)
		execSQL(t, b.ctx, tx, `ALTER TABLE eventstream.events DISABLE TRIGGER events_append_only`)
		execSQL(t, b.ctx, tx, `DELETE FROM eventstream.events WHERE position = ANY ($1)`, positions)
		execSQL(t, b.ctx, tx, `ALTER TABLE eventstream.events ENABLE TRIGGER events_append_only`)
		return nil
	}))
}

// left is the events that are not removed.
func (n *numbering) left() []numberedEvent {
	return slices.DeleteFunc(slices.Clone(n.events), func(e numberedEvent) bool { return e.removed })
}

// counted is the numbering of a store from which nothing was removed.
func counted(t testing.TB, b *bundle) *numbering {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT position, 0::bigint, 0::bigint, partition_id::integer, recorded_at
		FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[numberedEvent])
	require.NoError(t, err)
	n := &numbering{events: events}
	n.count()
	return n
}

func requireNumbered(t *testing.T, b *bundle) {
	t.Helper()
	counted(t, b).require(t, b)
}

// require demands that every way to ask gives the numbers that counting gives: from positions to numbers, and from numbers and times to
// positions.
func (n *numbering) require(t *testing.T, b *bundle) {
	t.Helper()
	n.requireSequences(t, b)
	n.requirePositions(t, b)
	n.requireTimes(t, b)
	n.requireRead(t, b)
}

// sample is at most a few hundred events, and among them those where something may go wrong: at both ends, at marks and at holes.
func (n *numbering) sample() []int {
	var telling []int
	for i, e := range n.events {
		switch {
		case i < 3, i >= len(n.events)-3, e.removed, n.events[i-1].removed,
			(e.Sequence+1)%1024 < 3, (e.PartitionSequence+1)%128 < 3, e.Position != n.events[i-1].Position+1, i%53 == 0:
			telling = append(telling, i)
		}
	}
	every := 1 + len(telling)/400
	return slices.DeleteFunc(telling, func(i int) bool {
		return i%every != 0 && i >= 3 && i < len(n.events)-3 && (n.events[i].Sequence+1)%1024 >= 3
	})
}

// asked gives a number for each row of a query; NULL is 0.
func asked(t testing.TB, b *bundle, sql string, args ...any) []int64 {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT coalesce(answer, 0) FROM (`+sql+`) AS q (answer, item) ORDER BY item`, args...)
	require.NoError(t, err)
	answers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	return answers
}

// requireSequences asks for the numbers of positions: of events, and of positions in holes, which have that of the event before.
func (n *numbering) requireSequences(t testing.TB, b *bundle) {
	t.Helper()
	stable := number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`)
	var positions, sequences []int64
	at, partitionSequences, partitions := []int64{}, []int64{}, []int32{}
	for _, i := range n.sample() {
		e, end := n.events[i], stable
		if i+1 < len(n.events) {
			end = n.events[i+1].Position - 1
		}
		for _, p := range []int64{e.Position, e.Position + (end-e.Position+1)/2, end} {
			positions, sequences = append(positions, p), append(sequences, e.Sequence)
		}
		if !e.removed {
			at, partitions = append(at, e.Position), append(partitions, e.Partition)
			partitionSequences = append(partitionSequences, e.PartitionSequence)
		}
	}
	require.Equal(t, sequences, asked(t, b, `SELECT eventstream.sequence_at(u.position), item
		FROM unnest($1::bigint[]) WITH ORDINALITY AS u (position, item)`, positions))
	require.Equal(t, partitionSequences, asked(t, b, `SELECT eventstream.partition_sequence_at(u.partition, u.position), item
		FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS u (position, partition, item)`, at, partitions))
	require.Equal(t, partitionSequences, asked(t, b, `SELECT sequence, item FROM eventstream.partition_sequences($2, $1)`, at, partitions))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.sequence_at(0)`))
	require.EqualValues(t, len(n.events), number(t, b.ctx, b.pool, `SELECT eventstream.sequence_at($1)`, stable))
}

// requirePositions asks for the positions of numbers, up to what is stable, and, which is the default, up to what is kept.
func (n *numbering) requirePositions(t testing.TB, b *bundle) {
	t.Helper()
	stable := number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`)
	kept := number(t, b.ctx, b.pool, keptPlace)
	var positions, keptPositions, sequences, partitionSequences []int64
	var partitions []int32
	for _, i := range n.sample() {
		e := n.events[i]
		positions, sequences = append(positions, e.Position), append(sequences, e.Sequence)
		partitions, partitionSequences = append(partitions, e.Partition), append(partitionSequences, e.PartitionSequence)
		if e.Position > kept {
			e.Position = 0
		}
		keptPositions = append(keptPositions, e.Position)
	}
	const each = ` FROM unnest($1::bigint[]) WITH ORDINALITY AS u (sequence, item)`
	require.Equal(t, positions, asked(t, b, `SELECT eventstream.position_of_sequence(u.sequence, $2), item`+each, sequences, stable))
	require.Equal(t, keptPositions, asked(t, b, `SELECT eventstream.position_of_sequence(u.sequence), item`+each, sequences))
	require.Equal(t, []int64{0, 0, 0}, asked(t, b, `SELECT eventstream.position_of_sequence(u.sequence, $2), item`+each,
		[]int64{-1, 0, int64(len(n.events) + 1)}, stable))

	const eachOf = ` FROM unnest($1::bigint[], $2::integer[]) WITH ORDINALITY AS u (sequence, partition, item)`
	require.Equal(t, positions, asked(t, b, `SELECT eventstream.position_of_partition_sequence(u.partition, u.sequence, $3), item`+eachOf,
		partitionSequences, partitions, stable))
	require.Equal(t, keptPositions, asked(t, b, `SELECT eventstream.position_of_partition_sequence(u.partition, u.sequence), item`+eachOf,
		partitionSequences, partitions))
	last := map[int32]int64{}
	for _, e := range n.events {
		last[e.Partition] = e.PartitionSequence
	}
	for partition, sequence := range last {
		require.Equal(t, []int64{0, 0}, asked(t, b, `SELECT eventstream.position_of_partition_sequence($2, u.sequence, $3), item`+each,
			[]int64{0, sequence + 1}, partition, stable))
	}
}

// requireTimes asks for the times of some events, and for a moment later.
func (n *numbering) requireTimes(t testing.TB, b *bundle) {
	t.Helper()
	stable := number(t, b.ctx, b.pool, `SELECT eventstream.stable_position()`)
	kept := number(t, b.ctx, b.pool, keptPlace)
	var times []time.Time
	var positions, keptPositions []int64
	left := n.left()
	for i := 0; i < len(left); i += 1 + len(left)/100 {
		for _, at := range []time.Time{left[i].RecordedAt, left[i].RecordedAt.Add(time.Millisecond)} {
			first := slices.IndexFunc(left, func(e numberedEvent) bool { return !e.RecordedAt.Before(at) })
			position, keptPosition := stable+1, kept+1
			if first >= 0 {
				position = left[first].Position
				keptPosition = min(position, keptPosition)
			}
			times, positions, keptPositions = append(times, at), append(positions, position), append(keptPositions, keptPosition)
		}
	}
	const each = ` FROM unnest($1::timestamptz[]) WITH ORDINALITY AS u (time, item)`
	if times == nil {
		return
	}
	require.Equal(t, positions, asked(t, b, `SELECT eventstream.position_at_time(u.time, $2), item`+each, times, stable))
	require.Equal(t, keptPositions, asked(t, b, `SELECT eventstream.position_at_time(u.time), item`+each, times))
}

// requireRead reads the log up and down, all partitions and some.
func (n *numbering) requireRead(t *testing.T, b *bundle) {
	t.Helper()
	left := n.left()
	// On a connection, since a reader on a pool keeps the position.
	repo := sizedRepo(t, session(t, b), 77)
	for _, partitions := range [][]int{nil, {0}, {1, 3}} {
		want := slices.DeleteFunc(slices.Clone(left), func(e numberedEvent) bool {
			return partitions != nil && !slices.Contains(partitions, int(e.Partition))
		})
		options := eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: partitions}}
		requireEvents(t, want, readAll(t, repo.ReadLog(b.ctx, options)))
		slices.Reverse(want)
		options.Backwards = true
		requireEvents(t, want, readAll(t, repo.ReadLog(b.ctx, options)))
	}
}

func requireEvents(t tester, want []numberedEvent, events []eventstream.LogEvent) {
	t.Helper()
	require.Len(t, events, len(want))
	for i, e := range events {
		got := numberedEvent{e.Position, e.Sequence, e.PartitionSequence, int32(e.PartitionID), e.RecordedAt, false}
		got.RecordedAt, want[i].RecordedAt = got.RecordedAt.UTC(), want[i].RecordedAt.UTC()
		if got != want[i] {
			require.Equal(t, want[i], got, "the %dth", i+1)
		}
	}
}

func sizedRepo(t testing.TB, handle eventstream.Handle, pageSize int) *eventstream.Repository {
	t.Helper()
	repo, err := eventstream.NewRepository(handle, &eventstream.Config{PageSize: pageSize})
	require.NoError(t, err)
	return repo
}

// The numbers are the same before anything is marked, after it, and when marks come in several steps, of which some are too small to
// mark partitions.
func TestSequencesAreTheSameWhateverIsMarked(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			random := rand.New(rand.NewPCG(seed, 1))
			n := &numbering{}
			for round, count := range []int{2500, 100, 1, 900, 500, 2100, 30} {
				n.append(t, b, random, count, 4)
				n.require(t, b)
				if round != 4 {
					execSQL(t, b.ctx, b.pool, advance)
					n.require(t, b)
				}
			}
			requireMarks(t, b, 6131)
			requireAuditClean(t, b)
		})
	}
}

// requireMarks demands that there are marks, and no more than a few of the events.
func requireMarks(t testing.TB, b *bundle, events int64) {
	t.Helper()
	marks := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.partition_marks WHERE NOT removed`)
	require.InDelta(t, events/128, marks, 12)
	require.GreaterOrEqual(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.log_marks`), events/1024)
}

// Sequence numbers are addressed by a bounded skip from a mark: of a log of 40,000 events, marked, each question looks at no more than what
// lies between two marks; in sessions whose plans were made when the tables were empty, too, and whether anybody analyzed or not.
func TestSequencesAreFoundByABoundedSkip(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	questions := []struct {
		sql                     string
		events, logMarks, marks int64
		pages                   float64
	}{
		{`SELECT eventstream.sequence_at(%[1]d)`, 0, 2, 0, 20},
		{`SELECT eventstream.position_of_sequence(%[1]d)`, 0, 1, 0, 25},
		{`SELECT eventstream.partition_sequence_at(%[2]d, %[1]d)`, 128, 0, 1, 25},
		{`SELECT eventstream.position_of_partition_sequence(%[2]d, %[1]d / 4)`, 127, 0, 1, 30},
		{`SELECT eventstream.position_at_time((SELECT recorded_at FROM eventstream.log_marks WHERE position >= %[1]d ORDER BY position LIMIT 1))`, 1100, 5, 0, 50},
		{`SELECT * FROM eventstream.log_marks_between(%[1]d, %[1]d + 499)`, 0, 3, 0, 40},
		{`SELECT * FROM eventstream.partition_sequences(ARRAY[0, 1, 2, 3], array_fill(%[1]d::bigint, ARRAY[4]))`, 4 * 256, 0, 4, 150},
	}
	ask := func(t *testing.T, conn *pgx.Conn) {
		t.Helper()
		for round := range 8 {
			for _, q := range questions {
				position := 4000*(round+1) + 1111
				touched := measure(t, conn, fmt.Sprintf(q.sql, position, position%4))
				for table, f := range touched {
					if table != "eventstream.log_state" {
						require.Zero(t, f.seqScans, "%s of %s", table, q.sql)
					}
				}
				require.LessOrEqual(t, touched["eventstream.events"].idxTuples, q.events, q.sql)
				require.LessOrEqual(t, touched["eventstream.log_marks"].idxTuples, q.logMarks, q.sql)
				require.LessOrEqual(t, touched["eventstream.partition_marks"].idxTuples, q.marks, q.sql)
				// An index that is walked beyond what was asked for gives no tuples there, but has its pages read: a partition has 40 of them.
				// The second time, since the first one reads the catalog too.
				pagesOf(t, b, conn, fmt.Sprintf(q.sql, position, position%4))
				require.LessOrEqual(t, pagesOf(t, b, conn, fmt.Sprintf(q.sql, position, position%4)), q.pages, q.sql)
			}
		}
	}
	early := session(t, b)
	ask(t, early)
	execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-' || s, 1, s % 4, 't', '1' FROM generate_series(1, 40000) AS s`)
	execSQL(t, b.ctx, b.pool, advance)
	ask(t, early)
	ask(t, session(t, b))
	execSQL(t, b.ctx, b.pool, `ANALYZE`)
	ask(t, early)
	ask(t, session(t, b))
}

// Many more positions than one step takes, and than one call does, a hole across the end of one included.
func TestSequencesOfManyEvents(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	load := func(era, streams, versions int) {
		execSQL(t, b.ctx, b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT 'era-' || $1::integer || '-' || s, v, s % 4, 't', '1'
			FROM generate_series(1, $2::integer) AS s, generate_series(1, $3::integer) AS v ORDER BY v, s`, era, streams, versions)
	}
	load(1, 8, 13000)
	// The hole goes from the end of the first call into the second.
	execSQL(t, b.ctx, b.pool, `SELECT setval('eventstream.events_position_seq', 205000)`)
	load(2, 8, 1000)
	// The first call takes two steps, and the end of the first one is between two events.
	for _, kept := range []int64{200_000, 213_000} {
		require.EqualValues(t, 213_000, number(t, b.ctx, b.pool, advance))
		require.EqualValues(t, kept, number(t, b.ctx, b.pool, keptPlace))
	}
	require.EqualValues(t, 112_000, number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state WHERE marked_position = 213000`))
	require.EqualValues(t, 1+112_000/1024, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.log_marks`))
	require.EqualValues(t, 4*(28_000/128), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.partition_marks`))

	n := counted(t, b)
	requireEvents(t, n.events, readAll(t, sizedRepo(t, b.pool, 5000).ReadLog(b.ctx, eventstream.LogOptions{})))
	n.requireSequences(t, b)
	n.requirePositions(t, b)
	requireAuditClean(t, b)
}
