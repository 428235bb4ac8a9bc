package integration_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// What the audit says does not depend on how a session has PostgreSQL print names, times and bytes.
func TestAuditIsTheSameWhateverTheSessionPrintsLike(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := session(t, b)
	for _, setting := range []string{
		`search_path = eventstream, public`, `timezone = 'Asia/Kathmandu'`, `datestyle = 'German'`, `intervalstyle = 'sql_standard'`,
		`bytea_output = 'escape'`, `extra_float_digits = -2`, `quote_all_identifiers = on`, `enable_indexscan = off`, `row_security = off`,
	} {
		simple(t, conn, `SET `+setting)
		require.Empty(t, auditProblems(t, conn), setting)
		require.Zero(t, number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.audit_triggers`), setting)
		require.Zero(t, number(t, b.ctx, conn, `SELECT eventstream.record_schema()`), setting)
	}
}

// Whoever replaces a function and has that recorded satisfies the audit, and leaves a trace that stays.
func TestAuditRecordSchemaLeavesATrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT eventstream.record_schema()`), "the last migration did it")
	recorded := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.schema_record`)
	installed := number(t, b.ctx, b.pool, `SELECT count(DISTINCT (kind, name)) FROM eventstream.schema_record`)
	require.Equal(t, installed, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.schema_objects WHERE definition IS NOT NULL`))

	conn := session(t, b)
	simple(t, conn, `CREATE OR REPLACE FUNCTION eventstream.events_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
		`DROP TRIGGER events_no_truncate ON eventstream.events`)
	require.Equal(t, []string{"triggers events.events_no_truncate: missing", "triggers eventstream.events_gate(): not as it was installed"},
		auditProblems(t, conn))
	require.Equal(t, int64(2), number(t, b.ctx, conn, `SELECT eventstream.record_schema()`))
	require.Empty(t, auditProblems(t, conn))

	rows, err := conn.Query(b.ctx, `
		SELECT format('%s %s %s %s', kind, name, digest IS NULL, recorded_by = session_user)
		FROM eventstream.schema_record WHERE name IN ('eventstream.events_gate()', 'events.events_no_truncate') ORDER BY kind, recorded_at`)
	require.NoError(t, err)
	trace, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"function eventstream.events_gate() f t", "function eventstream.events_gate() f t",
		"trigger events.events_no_truncate f t", "trigger events.events_no_truncate t t",
	}, trace)
	for _, sql := range []string{
		`DELETE FROM eventstream.schema_record`, `UPDATE eventstream.schema_record SET recorded_by = 'nobody'`, `TRUNCATE eventstream.schema_record`,
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, sql), "ES004")
	}
	require.Equal(t, recorded+2, number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.schema_record`))
}

// To record is for the owner.
func TestAuditRecordSchemaIsNotForEverybody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	conn := connect(t, b.dsn, role)
	requireSQLState(t, simpleErr(b.ctx, conn, `SELECT eventstream.record_schema()`), "42501")
	requireSQLState(t, simpleErr(b.ctx, conn, `INSERT INTO eventstream.schema_record (kind, name) VALUES ('function', 'x')`), "42501")
}

// A store that comes from a dump is as it was, in the audit's eyes too; what waits, what was discarded and the numbers come with it, and it
// takes events again.
func TestAuditAfterDumpAndRestoreIsClean(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	own := ownServer(t, pgserver.Options{})
	from := onServer(t, own, createDatabase(t, own))
	require.NoError(t, migrations.Up(from.ctx, from.pool, nil))
	simple(t, session(t, from.bundle), `SELECT eventstream.append('order-' || n % 7, 'order.placed', p_metadata => '{"a": 1}') FROM generate_series(1, 50) AS n`,
		`BEGIN; SELECT eventstream.append('burnt', 't') FROM generate_series(1, 2); ROLLBACK`,
		`SELECT eventstream.append('order-1', 'order.paid')`)
	events := numbered(t, 6)
	_, err := from.repo.Ingest(from.ctx, "edge-1", events[0], events[2], events[5])
	require.NoError(t, err)
	_, err = from.repo.DiscardPending(from.ctx, "edge-1", "given up", 6)
	require.NoError(t, err)
	execSQL(t, from.ctx, from.pool, advance)
	before := contents(t, from.pool)
	require.Equal(t, []string{"warning pending edge-1: hole"}, auditProblems(t, session(t, from.bundle)))

	to := dumpInto(t, from, own)
	require.Equal(t, before, contents(t, to.pool))
	require.Equal(t, []string{"warning pending edge-1: hole"}, auditProblems(t, session(t, to.bundle)))
	require.Equal(t, []string{"edge-1 6: given up"}, discardedEvents(t, to.bundle))
	require.Zero(t, number(t, to.ctx, to.pool, `SELECT eventstream.record_schema()`), "nothing is printed in another way")
	require.NoError(t, migrations.Up(to.ctx, to.pool, nil))
	_, err = to.repo.Ingest(to.ctx, "edge-1", events[1])
	require.NoError(t, err)
	for _, w := range behindWrites {
		require.NoError(t, w.do(to.ctx, t, session(t, to.bundle), eventstream.StreamID("after-"+strings.ReplaceAll(w.name, " ", "-"))), w.name)
	}
	execSQL(t, to.ctx, to.pool, advance)
	requireAuditClean(t, to.bundle)
}
