package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// streamQuery is a question about streams: how many of them the answer tells of, or counts.
type streamQuery struct {
	name    string
	streams int64
	ask     func(t *testing.T, conn *pgx.Conn, round int) int64
	// counts asks for a number alone, which takes one look at an index.
	counts bool
}

func ofStreams(filter eventstream.StreamFilter) func(t *testing.T, conn *pgx.Conn, round int) int64 {
	return func(t *testing.T, conn *pgx.Conn, round int) int64 {
		filter.After = eventstream.StreamID(fmt.Sprintf("%s-%06d", filter.Category, 100*round))
		if filter.Category == "" {
			filter.After = eventstream.StreamID(fmt.Sprintf("c%02d-", round))
		}
		return int64(len(readAll(t, repoOn(t, conn).Streams(context.Background(), filter))))
	}
}

func countOfStreams(filter eventstream.StreamFilter) func(t *testing.T, conn *pgx.Conn, round int) int64 {
	return func(t *testing.T, conn *pgx.Conn, _ int) int64 {
		n, err := repoOn(t, conn).CountStreams(context.Background(), filter)
		require.NoError(t, err)
		return n
	}
}

func streamQueries() []streamQuery {
	partition := 7
	return []streamQuery{
		{"one", 1, func(t *testing.T, conn *pgx.Conn, round int) int64 {
			head, err := repoOn(t, conn).Stream(context.Background(), eventstream.StreamID(fmt.Sprintf("c00-%06d", 100*(round+1))))
			require.NoError(t, err)
			require.Positive(t, head.Watermark)
			return 1
		}, false},
		{"a page of all", 50, ofStreams(eventstream.StreamFilter{Limit: 50}), false},
		{"a page of a category", 50, ofStreams(eventstream.StreamFilter{Limit: 50, Category: "c42"}), false},
		{"a page of a tenant", 50, ofStreams(eventstream.StreamFilter{Limit: 50, Tenant: "t3"}), false},
		{"a page of a partition", 50, ofStreams(eventstream.StreamFilter{Limit: 50, Partition: &partition}), false},
		{"those that changed last", 20, func(t *testing.T, conn *pgx.Conn, _ int) int64 {
			return number(t, context.Background(), conn, `SELECT count(*) FROM eventstream.recent_streams(20)`)
		}, false},
		{"count of a tenant", 800, countOfStreams(eventstream.StreamFilter{Tenant: "t3"}), true},
		{"count of a partition", 1250, countOfStreams(eventstream.StreamFilter{Partition: &partition}), true},
		{"count of a category of a tenant", 8, countOfStreams(eventstream.StreamFilter{Tenant: "t3", Category: "c03"}), true},
		{"count of all", 41_000, countOfStreams(eventstream.StreamFilter{}), true},
	}
}

// fillStreams makes 40,000 streams: a hundred categories c00 to c99, fifty tenants of 800 each; twenty streams have 500 events. The first event of a thousand
// others has not arrived.
func fillStreams(t *testing.T, b *bundle) {
	t.Helper()
	execSQL(t, context.Background(), b.pool, `INSERT INTO eventstream.events (stream_id, version, tenant_id, partition_id, type, payload)
		SELECT format('c%s-%s', lpad((s % 100)::text, 2, '0'), lpad(s::text, 6, '0')), v, 't' || s / 100 % 50, s / 10 % 32, 't', '{}'
		FROM generate_series(1, 40000) AS s CROSS JOIN LATERAL generate_series(1, CASE WHEN s % 2000 = 0 THEN 500 ELSE 1 END) AS v`)
	execSQL(t, context.Background(), b.pool, `SELECT i.* FROM generate_series(1, 1000) AS s CROSS JOIN LATERAL eventstream.ingest(
		'w-' || s, ARRAY[2], ARRAY[gen_random_uuid()], ARRAY['t'], NULL, p_tenant_id => 'waits', p_partition_id => 0) AS i`)
}

// What is asked of streams is looked up by indexes, in proportion to what the answer tells of: in a session whose plans were made while the
// tables were empty and statistics said so, in a fresh one, and after ANALYZE.
func TestStreamQueriesTouchWhatTheyTellOf(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `VACUUM (ANALYZE) eventstream.events, eventstream.pending_events;`)
	withoutAutovacuum(t, b)
	early := session(t, b)
	for n := range 8 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("c00-%06d", 100*(n+1))), 3)
	}
	for _, q := range streamQueries() {
		for round := range 8 {
			q.ask(t, early, round)
		}
	}
	simple(t, session(t, b), `SET session_replication_role = replica; DELETE FROM eventstream.events`)
	fillStreams(t, b)

	ask := func(t *testing.T, conn *pgx.Conn, rounds int) {
		t.Helper()
		for _, q := range streamQueries() {
			t.Run(q.name, func(t *testing.T) {
				for round := range rounds {
					var got int64
					touched := measureReads(t, conn, func() { got = q.ask(t, conn, round) })
					require.Equal(t, q.streams, got)
					requireLooks(t, q, touched)
				}
			})
		}
	}
	t.Run("PlansKeptFromWhenTheTablesWereEmpty", func(t *testing.T) { ask(t, early, 2) })
	t.Run("PlansMadeWithoutAnalyze", func(t *testing.T) { ask(t, session(t, b), 8) })
	execSQL(t, context.Background(), b.pool, `ANALYZE eventstream.events, eventstream.pending_events`)
	t.Run("Analyzed", func(t *testing.T) { ask(t, session(t, b), 8) })
}

// requireLooks demands that no table was scanned, and that the indexes gave no more than the answer takes: for each stream its first event,
// its last, and whether something waits. Where streams are walked from one to the next, one entry more. The planner looks at the ends of an
// index too.
func requireLooks(t *testing.T, q streamQuery, touched map[string]footprint) {
	t.Helper()
	events, pending := touched["eventstream.events"], touched["eventstream.pending_events"]
	require.Zero(t, events.seqScans, "%+v", events)
	if q.counts {
		require.Zero(t, pending.seqScans, "%+v", pending)
		require.LessOrEqual(t, events.idxScans, int64(1010), "one, and one for each stream that waits: %+v", events)
		require.LessOrEqual(t, events.idxTuples, q.streams+10, "%+v", events)
		return
	}
	require.Zero(t, pending.seqScans, "%+v", pending)
	require.LessOrEqual(t, pending.idxTuples, int64(1010), "%+v", pending)
	require.LessOrEqual(t, events.idxScans, 3*q.streams+10, "%+v", events)
	require.LessOrEqual(t, events.idxTuples, 3*q.streams+3000, "%+v", events)
	require.LessOrEqual(t, events.blocks, 30*q.streams+100, "%+v", events)
}
