package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// forgedErasure puts a record of an erasure past the guards: of a version of order-6, with these digests.
func forgedErasure(version int, reason, digests string) string {
	return fmt.Sprintf(`INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, metadata_digest)
		SELECT e.position, e.version, e.event_id, e.stream_id, '%s', %s FROM eventstream.events AS e WHERE e.stream_id = 'order-6' AND e.version = %d`,
		reason, digests, version)
}

// The archive and the record of erasures are written at any place of the log, long after a clean audit saw these events. The next one looks at
// what was moved and erased since then, with its seals, wherever it is.
func TestAuditSeesWhatWasArchivedAndErasedSince(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// A hole in the first block, and none in the others: two ways to find what an event was sealed with.
	execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq')`)
	fill(t, b, "order", 20)
	sealAll(t, b, 50)
	archive(t, b, "order-1", 6)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.erase('order-2', '[1,2]', 'request')`)
	require.Empty(t, runAudit(t, b, true))
	require.Equal(t, []string{"1 1"}, texts(t, b, `SELECT erasure - 1 || ' ' || archiving FROM eventstream.audit_runs`), "two erasures, one move")
	archive(t, b, "order-3", 6)
	archive(t, b, "order-5", 6)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.erase('order-4', '[2,3]', 'request'), eventstream.erase('order-5', '[2,2]', 'request')`)
	const digests, erased = `sha256('a'), sha256('b')`, `UPDATE eventstream.events SET ` + blanked + ` WHERE stream_id = 'order-6' AND version = 1; `
	for _, d := range []struct {
		name, sql string
		want      []string
	}{
		{"nothing", `SELECT 1`, nil},
		{
			"a payload changed in the archive", `UPDATE eventstream.archived_events SET payload = '{"total": 41}' WHERE stream_id = 'order-3' AND version = 4`,
			[]string{"archive order-3 4: not as it was sealed"},
		},
		{
			"a column of an archived and erased event", `UPDATE eventstream.archived_events SET type = 'order.paid' WHERE stream_id = 'order-5' AND version = 2`,
			[]string{
				"archive order-5 2: not as it was sealed",
				"erasures order-5 2: on record with digests of something else than what was sealed",
			},
		},
		{
			"an event gone from the archive", `DELETE FROM eventstream.archived_events WHERE stream_id = 'order-3' AND version = 3`,
			[]string{
				"archive order-3 2: on record as archived, and not all in the archive", "archive order-3 4: archived without the version before it",
				"archive order-3 2: the last of its stream, which stays in events",
			},
		},
		{
			"a copy left behind", `INSERT INTO eventstream.events SELECT * FROM eventstream.archived_events WHERE stream_id = 'order-3' AND version = 3`,
			[]string{"archive order-3 3: in events as well"},
		},
		{
			"a move that was none", `INSERT INTO eventstream.archivings (stream_id, from_version, to_version) VALUES ('order-7', 2, 5)`,
			[]string{"archive order-7 2: on record as archived, and not all in the archive"},
		},
		{
			"an erasure that was none", forgedErasure(1, "forged", digests), []string{"erasures order-6 1: on record as erased, and not erased"},
		},
		{
			"an event brought back", `UPDATE eventstream.events SET payload = '{}', metadata = '{}' WHERE stream_id = 'order-4' AND version = 2`,
			[]string{"erasures order-4 2: on record as erased, and not erased"},
		},
		{
			"digests of something else", erased + forgedErasure(1, "forged", digests),
			[]string{"erasures order-6 1: on record with digests of something else than what was sealed"},
		},
		{
			"without a reason", `ALTER TABLE eventstream.erasures DROP CONSTRAINT erasures_reason_given; ` + erased + forgedErasure(1, " ", digests),
			[]string{"triggers erasures.erasures_reason_given: missing", "erasures order-6 1: on record as erased without a reason"},
		},
		{
			"of what was never discarded", `INSERT INTO eventstream.erasures (version, event_id, stream_id, place, reason, payload_digest, metadata_digest)
				VALUES (4, gen_random_uuid(), 'order-6', 'discarded_events', 'forged', ` + digests + `)`,
			[]string{"erasures order-6 4: on record as erased, and not erased"},
		},
	} {
		t.Run(d.name, func(t *testing.T) {
			conn := session(t, b)
			simple(t, conn, `BEGIN; SET LOCAL session_replication_role = replica`, d.sql)
			tx := &bundle{ctx: b.ctx, dsn: b.dsn, repo: repoOn(t, conn)}
			require.ElementsMatch(t, d.want, runAudit(t, tx, false))
			simple(t, conn, `ROLLBACK`)
		})
	}
	require.Empty(t, runAudit(t, b, false))
	// What a clean audit saw is not read again, but for a full one.
	execSQL(t, b.ctx, b.pool, `BEGIN; SET LOCAL session_replication_role = replica;
		DELETE FROM eventstream.archived_events WHERE stream_id = 'order-1' AND version = 3; COMMIT`)
	require.Empty(t, runAudit(t, b, false))
	require.Contains(t, runAudit(t, b, true), "archive order-1 2: on record as archived, and not all in the archive")
}

// An erasure has its number before it commits. One that commits after an audit is looked at by the next one, although that audit has seen a
// higher number; also where the audit's snapshot is older than the look.
func TestAuditMissesNoErasureThatCommitsLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fill(t, b, "order", 20)
	require.Empty(t, runAudit(t, b, false))
	settled := func() int64 {
		return number(t, b.ctx, b.pool, `SELECT erasure FROM eventstream.audit_runs ORDER BY run DESC LIMIT 1`)
	}
	forger := session(t, b)
	simple(t, forger, `BEGIN; SET LOCAL session_replication_role = replica`, forgedErasure(1, "forged", `sha256('a'), sha256('b')`))
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.erase('order-2', '[1,2]', 'request')`)
	require.Empty(t, runAudit(t, b, false))
	require.Zero(t, settled())
	old := session(t, b)
	simple(t, old, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM eventstream.erasures`)
	simple(t, forger, `COMMIT`)
	require.Empty(t, runAudit(t, &bundle{ctx: b.ctx, dsn: b.dsn, repo: repoOn(t, old)}, false))
	simple(t, old, `COMMIT`)
	require.Zero(t, settled())
	require.Equal(t, []string{"erasures order-6 1: on record as erased, and not erased"}, runAudit(t, b, false))
	require.EqualValues(t, 3, settled())
}

// What an audit reads of the archive and of erasures depends on what was moved and erased since the last clean one.
func TestAuditWorkIsBoundedByWhatWasMoved(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	// A vacuum or its statistics under way would change how the full audit reads.
	withoutAutovacuum(t, b)
	var pages []float64
	for _, streams := range []int{150, 1050} {
		name := fmt.Sprintf("order-%d", streams)
		fill(t, b, name, streams)
		sealAll(t, b, 250)
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.archive('`+name+`-' || s, 9), eventstream.erase('`+name+`-' || s, '[2,3]', 'request')
			FROM generate_series(3, $1::integer) AS s`, streams)
		require.Empty(t, runAudit(t, b, false))
		execSQL(t, b.ctx, b.pool, `SELECT eventstream.archive('`+name+`-1', 9), eventstream.erase('`+name+`-2', '[2,3]', 'request')`)
		conn := session(t, b)
		simple(t, conn, `SELECT * FROM eventstream.run_audit()`) // Plans and caches.
		run := number(t, b.ctx, b.pool, `SELECT max(run) - 1 FROM eventstream.audit_runs`)
		pages = append(pages, pagesOf(t, b, conn, fmt.Sprintf(`SELECT * FROM eventstream.audit_since(%d)`, run)))
	}
	require.EqualValues(t, 7*(148+1+1048+1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.archived_events`))
	full := pagesOf(t, b, session(t, b), `SELECT * FROM eventstream.audit()`)
	t.Logf("pages: %v, and %v of a full audit", pages, full)
	require.Less(t, pages[1], 1.5*pages[0], "an archive of eight times the size")
	require.Less(t, 4*pages[1], full)
}
