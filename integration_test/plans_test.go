package integration_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// footprint is what a statement did to one table of schema eventstream, from the backend's own counters.
type footprint struct {
	seqScans  int64 // sequential scans of the table
	idxScans  int64 // scans of its indexes
	idxTuples int64 // index entries that they returned
	blocks    int64 // pages of the table and its indexes that were touched
	inserted  int64
	updated   int64
	deleted   int64
}

// measure runs statements in a transaction and returns what they touched. The counters of a transaction are exact and there at once,
// unlike those of pg_stat_user_tables.
func measure(t *testing.T, conn *pgx.Conn, sqls ...string) map[string]footprint {
	t.Helper()
	ctx := context.Background()
	simple(t, conn, `BEGIN`)
	before := counters(t, ctx, conn)
	simple(t, conn, sqls...)
	after := counters(t, ctx, conn)
	simple(t, conn, `COMMIT`)
	touched := map[string]footprint{}
	for table, a := range after {
		b := before[table]
		a.seqScans -= b.seqScans
		a.idxScans -= b.idxScans
		a.idxTuples -= b.idxTuples
		a.blocks -= b.blocks
		a.inserted -= b.inserted
		a.updated -= b.updated
		a.deleted -= b.deleted
		if a != (footprint{}) {
			touched[table] = a
		}
	}
	return touched
}

// Everything that is no part of PostgreSQL counts, so that a table elsewhere would show, and sequences too.
func counters(t *testing.T, ctx context.Context, conn *pgx.Conn) map[string]footprint { //nolint:revive // t first, as elsewhere
	t.Helper()
	r, err := conn.Query(ctx, `
		SELECT
			c.oid::regclass::text,
			pg_stat_get_xact_numscans(c.oid),
			coalesce(i.scans, 0),
			coalesce(i.tuples, 0),
			pg_stat_get_xact_blocks_fetched(c.oid) + coalesce(i.blocks, 0),
			pg_stat_get_xact_tuples_inserted(c.oid),
			pg_stat_get_xact_tuples_updated(c.oid),
			pg_stat_get_xact_tuples_deleted(c.oid)
		FROM pg_catalog.pg_class AS c
		LEFT JOIN LATERAL (
			SELECT sum(pg_stat_get_xact_numscans(x.indexrelid))::bigint AS scans,
				sum(pg_stat_get_xact_tuples_returned(x.indexrelid))::bigint AS tuples,
				sum(pg_stat_get_xact_blocks_fetched(x.indexrelid))::bigint AS blocks
			FROM pg_catalog.pg_index AS x WHERE x.indrelid = c.oid
		) AS i ON true
		WHERE c.relkind IN ('r', 'S', 'm', 't') AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
			AND (c.relkind <> 't' OR c.oid = ANY (SELECT o.reltoastrelid FROM pg_catalog.pg_class AS o
				WHERE o.relnamespace = 'eventstream'::regnamespace))`)
	require.NoError(t, err)
	all := map[string]footprint{}
	var table string
	var f footprint
	_, err = pgx.ForEachRow(r, []any{&table, &f.seqScans, &f.idxScans, &f.idxTuples, &f.blocks, &f.inserted, &f.updated, &f.deleted},
		func() error { all[table] = f; return nil })
	require.NoError(t, err)
	return all
}

// plannedWrite is a way to write: so many events to each of so many streams, whose ids begin with a prefix. Round 0 creates them, each
// later one goes on from there.
type plannedWrite struct {
	name            string
	streams, events int64
	sql             func(prefix string, round int64) string
}

const streamsOf = `(SELECT array_agg('%s-' || n) FROM generate_series(1, %d) AS n)`

func repeated(value string, n int64) string {
	return fmt.Sprintf(`array_fill(%s, ARRAY[%d])`, value, n)
}

func batchSQL(prefix string, streams, events int64, atomic bool) string {
	return fmt.Sprintf(`SELECT count(*) FILTER (WHERE outcome = 'appended') / (count(*) = count(*) FILTER (WHERE outcome = 'appended'))::integer
		FROM eventstream.append_batch(%s, %s, %s, (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, %d)), %s, %s,
			p_atomic => %t)`,
		fmt.Sprintf(streamsOf, prefix, streams), repeated("-1::bigint", streams), repeated(fmt.Sprint(events), streams),
		streams*events, repeated("'t'::text", streams*events), repeated(`'{"a": 1}'::jsonb`, streams*events), atomic)
}

func batch(streams, events int64, atomic bool) func(prefix string, round int64) string {
	return func(prefix string, _ int64) string { return batchSQL(prefix, streams, events, atomic) }
}

func insertInto(streams, events int64) func(prefix string, round int64) string {
	return func(prefix string, round int64) string {
		return fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			SELECT '%s-' || s, %d + v, s %% 32, 't', '{}' FROM generate_series(1, %d) AS s, generate_series(1, %d) AS v ORDER BY v, s DESC`,
			prefix, round*events, streams, events)
	}
}

var plannedWrites = []plannedWrite{
	{"append_batch, one request", 1, 1, batch(1, 1, true)},
	{"append_batch, one request of 100 events", 1, 100, batch(1, 100, true)},
	{"append_batch, 100 requests on 100 streams", 100, 1, batch(100, 1, true)},
	{"append_batch, 100 requests, each on its own", 100, 1, batch(100, 1, false)},
	{"append_batch, 20 requests of 5 events", 20, 5, batch(20, 5, true)},
	{"append", 1, 1, func(prefix string, _ int64) string { return `SELECT eventstream.append('` + prefix + `', 't')` }},
	{"append_batch, 10 requests on 10 streams", 10, 1, batch(10, 1, true)},
	{"ingest without a hole", 1, 10, ingestTen},
	{"raw INSERT of one event", 1, 1, insertInto(1, 1)},
	{"raw INSERT of 100 events of one stream", 1, 100, insertInto(1, 100)},
	{"raw INSERT into 100 streams", 100, 1, insertInto(100, 1)},
	{"raw INSERT of 5 events into 20 streams each", 20, 5, insertInto(20, 5)},
	{"COPY of 10 events of one stream", 1, 10, func(prefix string, round int64) string {
		return fmt.Sprintf(`COPY eventstream.events (stream_id, version, partition_id, type, payload) FROM PROGRAM
			'for v in $(seq %d %d); do printf "%s\t$v\t0\tt\t{}\n"; done'`, 10*round+1, 10*round+10, prefix)
	}},
	{"append_event", 1, 1, appendOne},
	{"append_batch, 10 requests to one stream", 1, 10, appendTenToOne},
}

func ingestTen(prefix string, round int64) string {
	return fmt.Sprintf(`SELECT eventstream.ingest('%s', (SELECT array_agg(n) FROM generate_series(%d, %d) AS n),
		(SELECT array_agg(gen_random_uuid()) FROM generate_series(1, 10)), %s, NULL)`,
		prefix, round*10+1, round*10+10, repeated("'t'::text", 10))
}

func appendOne(prefix string, _ int64) string {
	return `SELECT eventstream.append_event('` + prefix + `', -1, gen_random_uuid(), 't', '{}', NULL, NULL, NULL, NULL, NULL)`
}

func appendTenToOne(prefix string, _ int64) string {
	return fmt.Sprintf(`SELECT eventstream.append_batch(%s, %s, %s, (SELECT array_agg(gen_random_uuid()) FROM generate_series(1, 10)),
		%s, NULL, p_atomic => false)`, repeated("'"+prefix+"'::text", 10), repeated("-1::bigint", 10), repeated("1", 10), repeated("'t'::text", 10))
}

// touchable are the relations that a write may touch; of pending_events no row, where nothing waits.
var touchable = []string{"eventstream.events", "eventstream.events_position_seq", "eventstream.pending_events"}

// requireOnlyStreamsInHand demands that a write scanned no table, wrote nothing but its new events, and read no more of the indexes than the
// streams in hand take: a scan of a whole index would be no better than one of its table.
func requireOnlyStreamsInHand(t *testing.T, w plannedWrite, touched map[string]footprint) {
	t.Helper()
	for table, f := range touched {
		require.Zero(t, f.seqScans, "sequential scans of %s: %+v", table, f)
		require.Contains(t, touchable, table, "%+v", f)
	}
	total := w.streams * w.events
	events, pending := touched["eventstream.events"], touched["eventstream.pending_events"]
	require.Equal(t, total, events.inserted)
	require.Zero(t, events.updated+events.deleted)
	require.Zero(t, pending.idxTuples+pending.inserted+pending.updated+pending.deleted, "nothing waits: %+v", pending)

	// Measured: a look at the last event of each stream, one at the predecessor of each event, and one of the statement at the end of the log.
	// Ingest looks for each event by its version and by its id too, and where the stream stands before and after.
	looks := w.streams + total + 1
	switch {
	case strings.HasPrefix(w.name, "ingest"):
		looks = 3*total + 4
	case w.name == "append_event":
		// One at each unique index, for ON CONFLICT, and one for an id that exists; after ANALYZE one more was seen on a busy machine.
		looks += 5
	case strings.HasSuffix(w.name, "to one stream"):
		looks += total // for each request
	}
	require.LessOrEqual(t, events.idxScans, looks, "%s: lookups of events: %+v", w.name, events)
	require.LessOrEqual(t, events.idxTuples, looks, "%s: index entries of events: %+v", w.name, events)
	require.LessOrEqual(t, pending.idxScans, looks, "%s: lookups of what waits: %+v", w.name, pending)
	// A descent of each of its six indexes is up to 4 pages, for each lookup and each row.
	require.LessOrEqual(t, events.blocks, 30*total+60, "%s: pages of events: %+v", w.name, events)
}

// Growing past one machine: a write reads and writes nothing but the streams in hand, the sequence and advisory locks. It does so right
// after install, before any ANALYZE; in a session whose plans were made and kept while the tables were empty, after 40,000 streams came;
// in a fresh session then; and after ANALYZE.
func TestWritesTouchOnlyTheStreamsInHand(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	requireWritesTouchOnlyTheStreamsInHand(t, setup(t))
}

// The same where statistics say that the tables are empty: they were vacuumed before the first event came.
func TestWritesTouchOnlyTheStreamsInHandThoughStatisticsSayEmpty(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `VACUUM (ANALYZE) eventstream.events, eventstream.pending_events`)
	requireWritesTouchOnlyTheStreamsInHand(t, b)
}

func requireWritesTouchOnlyTheStreamsInHand(t *testing.T, b *bundle) {
	t.Helper()
	// Nobody analyzes behind the test's back: a new plan would hide a bad one.
	withoutAutovacuum(t, b)

	phase := 0
	everyWrite := func(t *testing.T, conn *pgx.Conn, rounds int64) {
		t.Helper()
		phase++
		for round := range rounds {
			for n, w := range plannedWrites {
				touched := measure(t, conn, w.sql(fmt.Sprintf("s-%d-%d", phase, n), round))
				t.Run(fmt.Sprintf("%s/round %d", w.name, round), func(t *testing.T) { requireOnlyStreamsInHand(t, w, touched) })
			}
		}
	}

	early := session(t, b)
	// The plans that a session makes in its sixth call stay: here in a store of a few dozen streams, where reading all of it is cheap.
	for round := range int64(12) {
		for n, write := range []func(string, int64) string{batch(2, 1, true), batch(2, 2, false), insertInto(2, 1), ingestTen, appendOne, appendTenToOne} {
			simple(t, early, write(fmt.Sprintf("warm-%d", n), round))
			if round < 8 {
				simple(t, early, write(fmt.Sprintf("warm-%d-%d", n, round), 0)) // New streams: other statements.
			}
		}
	}
	t.Run("FreshlyInstalled", func(t *testing.T) {
		fresh := session(t, b)
		everyWrite(t, fresh, 8)
		everyWrite(t, fresh, 2)
	})
	execSQL(t, context.Background(), b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'filler-' || s, 1, s % 32, 't', '{}' FROM generate_series(1, 40000) AS s`)
	t.Run("PlansKeptFromWhenTheTablesWereEmpty", func(t *testing.T) { everyWrite(t, early, 2) })
	t.Run("PlansMadeWithoutAnalyze", func(t *testing.T) {
		late := session(t, b)
		everyWrite(t, late, 8)
		everyWrite(t, late, 2)
	})
	execSQL(t, context.Background(), b.pool, `ANALYZE eventstream.events, eventstream.pending_events`)
	t.Run("PlansOfOldSessionsAfterAnalyze", func(t *testing.T) { everyWrite(t, early, 2) })
	t.Run("Analyzed", func(t *testing.T) {
		analyzed := session(t, b)
		everyWrite(t, analyzed, 8)
		everyWrite(t, analyzed, 2)
	})
	requireAuditClean(t, b)
}

// What waits is looked at by the key of the stream in hand, whatever waits elsewhere.
func TestWritesLookAtWhatWaitsOnlyBehindAHole(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	withoutAutovacuum(t, b)
	conn := session(t, b)
	simple(t, conn, `SELECT eventstream.append('order-' || n, 't') FROM generate_series(1, 100) AS n`,
		`SELECT eventstream.ingest('hole-' || n, ARRAY[2, 3], ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY['t', 't'], NULL)
			FROM generate_series(1, 2000) AS n`)

	for range 8 {
		touched := measure(t, conn, `SELECT eventstream.append('order-1', 't')`)
		pending := touched["eventstream.pending_events"]
		require.Zero(t, pending.seqScans, "%+v", pending)
		require.LessOrEqual(t, pending.idxTuples, int64(1), "whether anything waits at all: %+v", pending)

		touched = measure(t, conn, `SELECT * FROM eventstream.append_batch(ARRAY['hole-1'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL)`)
		pending = touched["eventstream.pending_events"]
		require.Zero(t, pending.seqScans, "%+v", pending)
		require.LessOrEqual(t, pending.idxTuples, int64(10), "%+v", pending)
		require.NotContains(t, touched, "eventstream.events_position_seq", "a refused append draws nothing")
	}

	for n := 1; n <= 8; n++ {
		touched := measure(t, conn, fmt.Sprintf(
			`SELECT eventstream.ingest('hole-%d', ARRAY[1], ARRAY[gen_random_uuid()], ARRAY['t'], NULL)`, n))
		for table, f := range touched {
			require.Zero(t, f.seqScans, table)
		}
		pending := touched["eventstream.pending_events"]
		require.EqualValues(t, 2, pending.deleted)
		require.LessOrEqual(t, pending.idxTuples, int64(20))
		require.EqualValues(t, 3, touched["eventstream.events"].inserted)
	}
	for n := 9; n <= 16; n++ {
		touched := measure(t, conn, fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
			VALUES ('hole-%[1]d', 1, eventstream.partition_of('hole-%[1]d', 32), 't', '{}')`, n))
		for table, f := range touched {
			require.Zero(t, f.seqScans, table)
		}
		require.LessOrEqual(t, touched["eventstream.pending_events"].idxTuples, int64(4), "the two that wait, and whether any does")
	}
}

// Duplicates, conflicts and the rest of the outcomes are found by keys as well, on a store with no statistics.
func TestRefusedAppendsTouchOnlyTheStreamsInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	withoutAutovacuum(t, b)
	ids := `ARRAY['11111111-0000-4000-8000-000000000001', '11111111-0000-4000-8000-000000000002']::uuid[]`
	request := func(stream string, expected int, ids string) string {
		return fmt.Sprintf(`SELECT * FROM eventstream.append_batch(ARRAY['%s'], ARRAY[%d], ARRAY[2], %s, ARRAY['t', 't'], NULL)`,
			stream, expected, ids)
	}
	pair := func(expected int, ids string) string {
		return fmt.Sprintf(`SELECT * FROM eventstream.append_batch(ARRAY['order-1', 'order-2'], ARRAY[-1, %d], ARRAY[1, 1], %s,
			ARRAY['t', 't'], NULL)`, expected, ids)
	}
	refused := map[string]string{
		"duplicate":        request("order-1", -1, ids),
		"conflict":         request("order-1", 77, "NULL"),
		"exists":           request("order-1", -3, "NULL"),
		"missing":          request("nobody", -2, "NULL"),
		"conflict of two":  pair(77, "NULL"),
		"missing of two":   strings.ReplaceAll(pair(-2, "NULL"), "order-2", "nobody"),
		"tenant of others": `SELECT * FROM eventstream.append_batch(ARRAY['order-1'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL, p_tenant_ids => ARRAY['x'])`,
	}
	simple(t, conn, request("order-1", -3, ids), request("order-2", -3, "NULL"))
	for range 8 { // Plans are kept from here.
		for _, sql := range refused {
			simple(t, conn, sql)
		}
	}
	simple(t, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'filler-' || s, 1, s % 32, 't', '{}' FROM generate_series(1, 50000) AS s`)
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		t.Run(name, func(t *testing.T) {
			touched := measure(t, conn, refused[name])
			for table, f := range touched {
				require.Zero(t, f.seqScans, "%s %+v", table, f)
				require.Zero(t, f.updated, "%s %+v", table, f)
				if name == "duplicate" && strings.HasPrefix(table, "eventstream.events") {
					require.LessOrEqual(t, f.inserted, int64(2), "it is tried, and what it inserted is taken back")
					continue
				}
				require.Zero(t, f.inserted+f.deleted, "%s %+v", table, f)
				// The whole index would be 50,000 entries.
				require.LessOrEqual(t, f.idxTuples, int64(20), "%s %+v", table, f)
				require.LessOrEqual(t, f.blocks, int64(100), "%s %+v", table, f)
				require.Contains(t, []string{"eventstream.events", "eventstream.pending_events"}, table)
			}
		})
	}
}
