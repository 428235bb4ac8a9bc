package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// What a load on a snapshot may read of events: the tail of 10 and the event before it; a look at the first event, at the one that the
// snapshot was made at, and at the last. A role under row security looks at the first event once more for the policy, twice.
const (
	snapshotTail   = 10
	snapshotReads  = snapshotTail + 1 + 3
	snapshotPolicy = 3
)

// requireReadsTheTail demands that a load looked at the tail alone, by indexes.
func requireReadsTheTail(t *testing.T, conn *pgx.Conn, id string, most int64) {
	t.Helper()
	for _, before := range []string{`NULL`, `'01990000-0000-7000-8000-000000000000'`} {
		requireReadsOf(t, conn, id, before, most)
	}
}

// requireReadsOf does for a load that looks for an event by its id.
func requireReadsOf(t *testing.T, conn *pgx.Conn, id, before string, most int64) {
	t.Helper()
	touched := measure(t, conn, `SELECT count(*) FROM eventstream.load_snapshot('`+id+`', 'tally', 1, `+before+`)`)
	events, snapshots := touched["eventstream.events"], touched["eventstream.snapshots"]
	for table, f := range touched {
		require.Zero(t, f.seqScans, "%s %+v", table, f)
		require.Zero(t, f.inserted+f.updated+f.deleted, "%s %+v", table, f)
	}
	require.LessOrEqual(t, events.idxTuples, most, "%s: index entries of events: %+v", id, events)
	require.LessOrEqual(t, events.blocks, 5*most+30, "%s: pages of events: %+v", id, events)
	require.LessOrEqual(t, snapshots.idxTuples, int64(3), "%s: the row, its digest and its state: %+v", id, snapshots)
}

// However long a stream is, a load on a snapshot reads the events after it, by the primary key, and nothing else: with plans that were kept
// from when the tables were empty and statistics said so, in a fresh session without ANALYZE, and after it; for a role under row security too.
func TestSnapshotLoadReadsTheTailAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `VACUUM (ANALYZE) eventstream.events, eventstream.pending_events, eventstream.snapshots`)
	withoutAutovacuum(t, b)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	early, earlyRole := session(t, b), connect(t, b.dsn, role)
	for range 12 {
		for _, conn := range []*pgx.Conn{early, earlyRole} {
			simple(t, conn, `SELECT * FROM eventstream.load_snapshot('long', 'tally', 1)`)
			simple(t, conn, `SELECT * FROM eventstream.load_snapshot('long', 'tally', 1, '01990000-0000-7000-8000-000000000000')`)
		}
	}
	execSQL(t, context.Background(), b.pool, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'long', v, 0, 't', '{}' FROM generate_series(1, 20000) AS v;
		INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'filler-' || s, v, s % 32, 't', '{}' FROM generate_series(1, 2000) AS s, generate_series(1, 11) AS v`)
	execSQL(t, context.Background(), b.pool, `SELECT eventstream.save_snapshot(e.stream_id, 'tally', e.version, e.event_id, 1, '{}')
		FROM eventstream.events AS e
		WHERE (e.stream_id = 'long' AND e.version = 19990) OR (e.stream_id LIKE 'filler%' AND e.version = 1)`)
	check := func(t *testing.T, conn *pgx.Conn, most int64) {
		t.Helper()
		for range 8 {
			requireReadsTheTail(t, conn, "long", most)
			requireReadsTheTail(t, conn, "filler-77", most)
		}
	}
	phase := func(name string, conn, ofRole *pgx.Conn) {
		t.Run(name, func(t *testing.T) {
			check(t, conn, snapshotReads)
			check(t, ofRole, snapshotReads+snapshotPolicy)
		})
	}
	phase("PlansKeptFromWhenTheTablesWereEmpty", early, earlyRole)
	phase("PlansMadeWithoutAnalyze", session(t, b), connect(t, b.dsn, role))
	execSQL(t, b.ctx, b.pool, `ANALYZE eventstream.events, eventstream.snapshots`)
	phase("PlansOfOldSessionsAfterAnalyze", early, earlyRole)
	phase("Analyzed", session(t, b), connect(t, b.dsn, role))
}
