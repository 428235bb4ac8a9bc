package integration_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// fill puts events into a store in one statement: streams of 10, in all partitions.
func fill(t testing.TB, b *bundle, name string, streams int) {
	t.Helper()
	execSQL(t, b.ctx, b.pool, fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT '%s-' || s, v, s %% 32, 'order.placed', '{"total": 42}' FROM generate_series(1, %d) AS s, generate_series(1, 10) AS v
		ORDER BY v, s`, name, streams))
	execSQL(t, b.ctx, b.pool, `ANALYZE eventstream.events`)
	execSQL(t, b.ctx, b.pool, advance)
}

// sealAll seals the whole log in blocks of so many events.
func sealAll(t testing.TB, b *bundle, events int) {
	t.Helper()
	for sealed := int64(1); sealed > 0; {
		sealed = number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.seal($1::integer)`, events)
	}
}

// runAudit is what RunAudit finds, as "check stream: problem".
func runAudit(t testing.TB, b *bundle, full bool) (found []string) {
	t.Helper()
	findings, err := b.repo.RunAudit(b.ctx, full)
	require.NoError(t, err)
	for _, f := range findings {
		var detail struct {
			Problem string `json:"problem"`
			Name    string `json:"name"`
		}
		require.NoError(t, json.Unmarshal(f.Detail, &detail))
		about := strings.TrimSpace(detail.Name + string(f.StreamID))
		if f.Version > 0 {
			about += fmt.Sprintf(" %d", f.Version)
		}
		found = append(found, strings.TrimPrefix(string(f.Severity)+" ", "error ")+f.Check+" "+about+": "+detail.Problem)
	}
	return found
}

// An audit goes on from the last clean one, is on record for good, and is full when asked.
func TestAuditGoesOnFromTheLastCleanOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fill(t, b, "order", 5)
	require.Empty(t, runAudit(t, b, false), "the first one reads everything")
	given(t, b, "late-1", 3)
	require.Empty(t, runAudit(t, b, false))
	require.Empty(t, runAudit(t, b, true))
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events DISABLE TRIGGER events_gate`)
	require.Equal(t, []string{"triggers events.events_gate: disabled"}, runAudit(t, b, false))
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events ENABLE TRIGGER events_gate`)
	require.Empty(t, runAudit(t, b, false))
	runs, err := b.repo.AuditRuns(b.ctx, 10)
	require.NoError(t, err)
	var got []string
	for _, r := range runs {
		require.False(t, r.FinishedAt.Before(r.StartedAt))
		require.NotEmpty(t, r.By)
		got = append(got, fmt.Sprintf("%d since %d up to %d: %d", r.Run, r.Since, r.Position, r.Errors))
	}
	require.Equal(t, []string{
		"5 since 3 up to 53: 0", "4 since 3 up to 53: 1", "3 since 0 up to 53: 0", "2 since 1 up to 53: 0", "1 since 0 up to 50: 0",
	}, got)
	_, err = b.repo.AuditRuns(b.ctx, 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	for _, sql := range []string{`DELETE FROM eventstream.audit_runs`, `UPDATE eventstream.audit_runs SET errors = 0`, `TRUNCATE eventstream.audit_runs`} {
		requireSQLState(t, simpleErr(b.ctx, session(t, b), sql), "ES004")
	}
	// On record needs to be written; without that the audit is the same.
	conn := session(t, b)
	simple(t, conn, `BEGIN READ ONLY`, `SELECT * FROM eventstream.run_audit()`, `SELECT * FROM eventstream.run_audit(true)`, `COMMIT`)
	require.EqualValues(t, 5, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit_runs`))
}

// Damage to what is new is found without another look at what was clean; damage to that, by a full one.
func TestAuditFindsDamageSinceTheLastCleanOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fill(t, b, "order", 40)
	sealAll(t, b, 100)
	require.Empty(t, runAudit(t, b, false))
	fill(t, b, "late", 20)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.append('order-1', 'order.paid')`)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.seal(100)`) // Versions 1 to 5 of the late ones.
	execSQL(t, b.ctx, b.pool, advance)
	for _, d := range []struct {
		name, sql string
		want      []string
	}{
		{"an event in the middle is gone", `DELETE FROM eventstream.events WHERE stream_id = 'late-3' AND version = 7`, []string{
			"gaps late-3 7: version before it missing", "sequences : sequence numbers and events differ in number",
		}},
		{
			"the last event of an old stream is gone", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 11`,
			[]string{"sequences : sequence numbers and events differ in number"},
		},
		{
			"the predecessor of a new one is gone", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 10`,
			[]string{"gaps order-1 10: version before it missing", "seals : event missing"},
		},
		{
			"another tenant", `UPDATE eventstream.events SET tenant_id = 'acme' WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"tenants late-3 10: of another tenant than the version before"},
		},
		{
			"another partition", `UPDATE eventstream.events SET partition_id = 31 WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"partitions late-3 10: in another partition than the version before"},
		},
		{
			"no partition", `UPDATE eventstream.events SET partition_id = 32 WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"partitions late-3 10: no such partition in this store", "partitions late-3 10: in another partition than the version before"},
		},
		{
			"a position that was never drawn", `UPDATE eventstream.events SET position = 100000 WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"order late-3 10: position was never drawn", "sequences : sequence numbers and events differ in number"},
		},
		{
			"a value", `UPDATE eventstream.events SET type = ' x' WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"values late-3 10: a value that the gate would refuse"},
		},
		{
			"a clock", `UPDATE eventstream.events SET recorded_at = recorded_at - interval '1 hour' WHERE stream_id = 'late-3' AND version = 10`,
			[]string{"warning clocks late-3 10: the clock went back by more than a minute"},
		},
		{
			"sequence numbers that were seen", `INSERT INTO eventstream.log_marks (position, sequence, recorded_at) VALUES (10, 9, now())`,
			[]string{"sequences : sequence numbers that a clean audit saw are others now"},
		},
		{
			"a payload that was sealed since", `UPDATE eventstream.events SET payload = '{"total": 41}' WHERE stream_id = 'late-3' AND version = 2`,
			[]string{"seals late-3 2: event changed"},
		},
		{
			"a payload in the block that was the newest", `UPDATE eventstream.events SET payload = '{"total": 41}' WHERE stream_id = 'order-3' AND version = 9`,
			[]string{"seals order-3 9: event changed"},
		},
		{
			"the rights of everybody", `GRANT EXECUTE ON FUNCTION eventstream.append_event TO PUBLIC`,
			[]string{"privileges PUBLIC on eventstream.append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer,uuid[]): " +
				"not as it was installed: it is now EXECUTE"},
		},
		{
			"row security", `ALTER TABLE eventstream.snapshots DISABLE ROW LEVEL SECURITY`,
			[]string{"triggers snapshots: not as it was installed: it is now persistence p, row security f, forced f, rules 0"},
		},
		{
			"a policy", `ALTER POLICY snapshots_of_visible_streams ON eventstream.snapshots USING (true)`,
			[]string{"triggers snapshots.snapshots_of_visible_streams: not as it was installed: it is now permissive for * to public using true"},
		},
		{
			"a function of somebody's", `CREATE FUNCTION eventstream.helper() RETURNS integer LANGUAGE sql RETURN 1`,
			[]string{"warning triggers eventstream.helper(): not installed by a migration"},
		},
		{
			"a checkpoint", `INSERT INTO eventstream.subscriptions (name, shard_count, delivery, filter, start) VALUES ('s', 1, 'transaction', '{}', '{}');
			INSERT INTO eventstream.subscription_shards (subscription, shard, position) VALUES ('s', 0, 100000)`,
			[]string{"checkpoints : beyond the stable position"},
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
	// What was clean is not read again, but for a full audit.
	execSQL(t, b.ctx, b.pool, `BEGIN; SET LOCAL session_replication_role = replica;
		UPDATE eventstream.events SET tenant_id = 'acme' WHERE stream_id = 'order-40' AND version = 2; COMMIT`)
	require.Empty(t, runAudit(t, b, false))
	require.Equal(t, []string{"seals order-40 2: event changed", "tenants order-40 2: "}, runAudit(t, b, true))
}

// A full audit on record compares every sealed block with its events, the plain one the newest.
func TestAuditComparesSealedBlocks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fill(t, b, "order", 30)
	sealAll(t, b, 100)
	requireAuditClean(t, b)
	tamper := func(position int) {
		execSQL(t, b.ctx, b.pool, fmt.Sprintf(`BEGIN; SET LOCAL session_replication_role = replica;
			UPDATE eventstream.events SET payload = '{"total": 41}' WHERE position = %d; COMMIT`, position))
	}
	tamper(50)
	requireAuditClean(t, b)
	require.Equal(t, []string{"seals order-20 2: event changed"}, runAudit(t, b, true))
	tamper(300)
	require.Equal(t, []string{"seals order-30: event changed"}, auditProblems(t, b.pool))
	require.Equal(t, []string{"seals order-20 2: event changed", "seals order-30 10: event changed"}, runAudit(t, b, true))
}

// What an audit reads depends on what is new, however large the store is. Counted in pages, since times say little on a machine that does other
// work as well.
func TestAuditWorkIsBoundedByWhatIsNew(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	// A vacuum or its statistics under way would change how the full audit reads.
	withoutAutovacuum(t, b)
	var pages []float64
	for _, streams := range []int{500, 3500} {
		fill(t, b, fmt.Sprintf("order-%d", streams), streams)
		sealAll(t, b, 250)
		require.Empty(t, runAudit(t, b, false))
		given(t, b, eventstream.StreamID(fmt.Sprintf("late-%d", streams)), 20)
		execSQL(t, b.ctx, b.pool, advance)
		conn := session(t, b)
		simple(t, conn, `SELECT * FROM eventstream.run_audit()`) // Plans and caches.
		pages = append(pages, pagesOf(t, b, conn, `SELECT * FROM eventstream.run_audit()`))
	}
	require.EqualValues(t, 40040, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	full := pagesOf(t, b, session(t, b), `SELECT * FROM eventstream.audit()`)
	t.Logf("pages: %v, and %v of a full audit", pages, full)
	require.Less(t, pages[1], 1.5*pages[0], "a store of eight times the size")
	require.Less(t, 4*pages[1], full)
}

// pagesOf is how many pages a statement touches.
func pagesOf(t testing.TB, b *bundle, conn *pgx.Conn, sql string) float64 {
	t.Helper()
	var text []byte
	require.NoError(t, conn.QueryRow(b.ctx, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+sql).Scan(&text))
	var plans []struct {
		Plan struct {
			Hit  float64 `json:"Shared Hit Blocks"`
			Read float64 `json:"Shared Read Blocks"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &plans))
	return plans[0].Plan.Hit + plans[0].Plan.Read
}

// To audit on record is for whom the owner names, and changes nothing else.
func TestAuditOnRecordNeedsTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	repo := asRole(t, b, role)
	_, err := repo.RunAudit(b.ctx, false)
	requireSQLState(t, err, denied)
	_, err = repo.Audit(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION eventstream.run_audit, eventstream.advance_stable_position TO `+role)
	_, err = repo.RunAudit(b.ctx, false)
	require.NoError(t, err)
	runs, err := repo.AuditRuns(b.ctx, 1)
	require.NoError(t, err)
	require.Equal(t, role, runs[0].By)
	conn := connect(t, b.dsn, role)
	requireSQLState(t, simpleErr(b.ctx, conn, `INSERT INTO eventstream.audit_runs (started_at, position, last_sequence, errors, warnings)
		VALUES (now(), 1000000, 0, 0, 0)`), denied)
	requireSQLState(t, simpleErr(b.ctx, conn, `SELECT * FROM eventstream.audit_since(1)`), denied)
}
