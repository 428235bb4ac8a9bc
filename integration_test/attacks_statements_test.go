package integration_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// denied is what PostgreSQL says to a writer that has no right to the statement.
const denied = "42501"

type statementAttack struct {
	name   string
	sql    string
	owner  string // SQLSTATE that the owner gets
	writer string // and a writer that may only INSERT and SELECT
}

// values is a VALUES list of rows of order-1 (partition 5, tenant default).
func values(versions ...int64) string {
	var out []attackRow
	for _, v := range versions {
		out = append(out, order1(v))
	}
	return insertSQL(out)
}

const mergeSource = `MERGE INTO eventstream.events AS e
	USING (VALUES ('order-1', 3), ('order-1', 5)) AS v (stream_id, version)
	ON e.stream_id = v.stream_id AND e.version = v.version `

// inTrigger wraps a statement into a trigger on a table of the attacker's own, and fires it.
func inTrigger(sql string) string {
	return `CREATE TEMP TABLE mine (n integer);
		CREATE FUNCTION pg_temp.attack() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN ` + sql + `; RETURN NULL; END $f$;
		CREATE TRIGGER attack AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.attack();
		INSERT INTO mine VALUES (1)`
}

// inFunction wraps a statement into a function of the attacker's own, and calls it.
func inFunction(language, sql string) string {
	body := sql
	if language == "plpgsql" {
		body = "BEGIN " + sql + "; END"
	}
	return `CREATE FUNCTION pg_temp.attack() RETURNS void LANGUAGE ` + language + ` AS $f$ ` + body + ` $f$; SELECT pg_temp.attack()`
}

func inDo(sql string) string { return `DO $d$ BEGIN ` + sql + `; END $d$` }

// swallowing hides the errors of a statement and goes on with another.
func swallowing(sql, then string) string {
	return `DO $d$ BEGIN BEGIN ` + sql + `; EXCEPTION WHEN OTHERS THEN NULL; END; ` + then + `; END $d$`
}

var statementAttacks = []statementAttack{
	{"UPDATE of a payload", `UPDATE eventstream.events SET payload = '{"a": 1}' WHERE stream_id = 'order-1'`, "ES004", denied},
	{"UPDATE of a version", `UPDATE eventstream.events SET version = 7 WHERE stream_id = 'order-1' AND version = 3`, "ES004", denied},
	{"UPDATE of a position", `UPDATE eventstream.events SET position = position + 100`, "ES004", denied},
	{"UPDATE of no row", `UPDATE eventstream.events SET payload = '{}' WHERE false`, "ES004", denied},
	{"DELETE of the last event", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 3`, "ES004", denied},
	{"DELETE of all events", `DELETE FROM eventstream.events`, "ES004", denied},
	{"DELETE in a CTE", `WITH gone AS (DELETE FROM eventstream.events RETURNING *) SELECT count(*) FROM gone`, "ES004", denied},
	{"move: DELETE and INSERT in one statement", `WITH gone AS (
		DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 3 RETURNING *)
		INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-8', 1, 8, type, payload FROM gone`, "ES004", denied},
	{"TRUNCATE of events", `TRUNCATE eventstream.events`, "ES004", denied},
	{"TRUNCATE of events CASCADE", `TRUNCATE eventstream.events CASCADE`, "ES004", denied},
	{"TRUNCATE of events RESTART IDENTITY", `TRUNCATE eventstream.events RESTART IDENTITY CASCADE`, "ES004", denied},
	{"TRUNCATE of events and what waits", `TRUNCATE eventstream.events, eventstream.pending_events`, "ES004", denied},

	// Where a stream stands is computed: there is nothing to change.
	{"UPDATE of streams", `UPDATE eventstream.streams SET watermark = 2 WHERE stream_id = 'order-1'`, "55000", "55000"},
	{"INSERT into streams", `INSERT INTO eventstream.streams (stream_id, partition_id) VALUES ('order-8', 8)`, "55000", "55000"},
	{"DELETE from streams", `DELETE FROM eventstream.streams WHERE stream_id = 'order-1'`, "55000", "55000"},
	{"TRUNCATE of streams", `TRUNCATE eventstream.streams`, "42809", "42809"},
	{"COPY into streams", `COPY eventstream.streams (stream_id, partition_id) FROM PROGRAM 'echo order-8 8' DELIMITER ' '`, "42809", denied},

	{"UPDATE of what waits", `UPDATE eventstream.pending_events SET version = 9`, "ES004", denied},
	{
		"DELETE of what waits", `SELECT eventstream.ingest('order-1', ARRAY[6], ARRAY[gen_random_uuid()], ARRAY['t'], ARRAY['{}']::jsonb[]);
		DELETE FROM eventstream.pending_events`, "ES004", denied,
	},
	{"TRUNCATE of what waits", `TRUNCATE eventstream.pending_events`, "ES004", denied},
	{
		"what waits, for a version that is there", `INSERT INTO eventstream.pending_events
		(stream_id, version, partition_id, tenant_id, event_id, occurred_at, type, payload)
		VALUES ('order-1', 3, 5, 'default', gen_random_uuid(), now(), 't', '{}')`, "ES002", denied,
	},
	{
		"what waits, of another tenant", `INSERT INTO eventstream.pending_events
		(stream_id, version, partition_id, tenant_id, event_id, occurred_at, type, payload)
		VALUES ('order-1', 9, 5, 'acme', gen_random_uuid(), now(), 't', '{}')`, "ES003", denied,
	},
	{
		"what waits, in another partition", `INSERT INTO eventstream.pending_events
		(stream_id, version, partition_id, tenant_id, event_id, occurred_at, type, payload)
		VALUES ('order-1', 9, 6, 'default', gen_random_uuid(), now(), 't', '{}')`, "ES007", denied,
	},

	{"UPDATE of the store", `UPDATE eventstream.store SET partition_count = 16`, "ES009", denied},
	{"DELETE of the store", `DELETE FROM eventstream.store`, "ES009", denied},
	{"TRUNCATE of the store", `TRUNCATE eventstream.store`, "ES009", denied},
	{"TRUNCATE of the store CASCADE", `TRUNCATE eventstream.store CASCADE`, "ES009", denied},
	{"a second store", `INSERT INTO eventstream.store DEFAULT VALUES`, "23505", denied},
	{"a second store by COPY", `COPY eventstream.store (partition_count) FROM PROGRAM 'echo 16'`, "23505", denied},

	{"ON CONFLICT DO NOTHING that swallows all", values(3) + ` ON CONFLICT DO NOTHING`, "ES002", "ES002"},
	{"ON CONFLICT DO NOTHING that swallows many", values(1, 2, 3) + ` ON CONFLICT DO NOTHING`, "ES002", "ES002"},
	{"ON CONFLICT on the key DO NOTHING that swallows all", values(3) + ` ON CONFLICT (stream_id, version) DO NOTHING`, "ES002", "ES002"},
	{"ON CONFLICT DO NOTHING with a gap", values(5) + ` ON CONFLICT DO NOTHING`, "ES002", "ES002"},
	{"ON CONFLICT DO NOTHING with a gap behind a swallowed row", values(3, 5) + ` ON CONFLICT DO NOTHING`, "ES002", "ES002"},
	{
		"ON CONFLICT DO UPDATE", values(3) + ` ON CONFLICT (stream_id, version) DO UPDATE SET payload = EXCLUDED.payload`,
		"ES004", denied,
	},
	{
		"ON CONFLICT DO UPDATE without a conflict", values(4) + ` ON CONFLICT (stream_id, version) DO UPDATE SET type = 'x'`,
		"ES004", denied,
	},
	{"ON CONFLICT DO UPDATE of nothing", values(3) + ` ON CONFLICT (stream_id, version) DO UPDATE SET type = 'x' WHERE false`, "ES004", denied},

	{
		"MERGE with a gap", mergeSource + `WHEN NOT MATCHED THEN
		INSERT (stream_id, version, partition_id, type, payload) VALUES (v.stream_id, v.version, 5, 't', '{}')`, "ES002", "ES002",
	},
	{"MERGE with UPDATE", mergeSource + `WHEN MATCHED THEN UPDATE SET payload = '{"a": 1}'`, "ES004", denied},
	{"MERGE with DELETE", mergeSource + `WHEN MATCHED THEN DELETE`, "ES004", denied},
	{
		"MERGE with UPDATE and INSERT", mergeSource + `WHEN MATCHED THEN UPDATE SET payload = '{}'
		WHEN NOT MATCHED THEN INSERT (stream_id, version, partition_id, type, payload) VALUES (v.stream_id, 4, 5, 't', '{}')`,
		"ES004", denied,
	},

	{"gap by a prepared statement", strings.Replace(values(5), "INSERT", "PREPARE p AS INSERT", 1) + `; EXECUTE p`, "ES002", "ES002"},
	{
		"gap by a prepared statement, its generic plan", `SET plan_cache_mode = force_generic_plan;
		PREPARE p (bigint) AS INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		VALUES ('order-1', $1, 5, 't', '{}'); EXECUTE p (4); EXECUTE p (5); EXECUTE p (7)`, "ES002", "ES002",
	},
	{"gap in a CTE", `WITH ins AS (` + values(5) + ` RETURNING *) SELECT count(*) FROM ins`, "ES002", "ES002"},
	{"gap between two CTEs", `WITH a AS (` + values(4) + `), b AS (` + values(6) + `) SELECT 1`, "ES002", "ES002"},
	{"gap in one CTE of two streams", `WITH a AS (` + insertSQL(rows(order2(3))) + `), b AS (` + values(6) + `) SELECT 1`, "ES002", "ES002"},
	{"one version in two CTEs", `WITH a AS (` + values(4) + `), b AS (` + values(4) + `) SELECT 1`, "23505", "23505"},
	{
		"gap by INSERT ... SELECT", `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload)
		SELECT 'order-' || s, v, 7, 't', '{}' FROM generate_series(10, 99) AS s, generate_series(1, 9) AS v WHERE (s, v) <> (50, 5)
		ORDER BY v`, "ES002", "ES002",
	},
	{"gap by a copy of the table", `INSERT INTO eventstream.events (stream_id, version, partition_id, tenant_id, type, payload)
		SELECT stream_id, version + 1000, partition_id, tenant_id, type, payload FROM eventstream.events`, "ES002", "ES002"},
	{
		"gap through an updatable view", `CREATE TEMP VIEW v AS SELECT stream_id, version, partition_id, type, payload
		FROM eventstream.events; INSERT INTO v VALUES ('order-1', 5, 5, 't', '{}')`, "ES002", "ES002",
	},
	{
		"UPDATE through an updatable view", `CREATE TEMP VIEW v AS SELECT * FROM eventstream.events;
		UPDATE v SET payload = '{}'`, "ES004", denied,
	},
	{"event id that is there", `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, event_id)
		SELECT 'order-1', 4, 5, 't', '{}', event_id FROM eventstream.events LIMIT 1`, "23505", "23505"},
	{
		"position drawn by hand from the sequence", `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, position)
		VALUES ('order-1', 5, 5, 't', '{}', nextval('eventstream.events_position_seq'))`, "ES002", denied,
	},

	{"gap in a trigger of another table", inTrigger(values(5)), "ES002", "ES002"},
	{"UPDATE of events in a trigger of another table", inTrigger(`UPDATE eventstream.events SET payload = '{}'`), "ES004", denied},
	{
		"DELETE of what waits in a trigger of another table", inTrigger(`PERFORM eventstream.ingest('order-1', ARRAY[6],
		ARRAY[gen_random_uuid()], ARRAY['t'], ARRAY['{}']::jsonb[]); DELETE FROM eventstream.pending_events`), "ES004", denied,
	},
	{"gap in a function in SQL", inFunction("sql", values(5)), "ES002", "ES002"},
	{"gap in a function in plpgsql", inFunction("plpgsql", values(5)), "ES002", "ES002"},
	{"UPDATE in a function", inFunction("plpgsql", `UPDATE eventstream.events SET payload = '{}'`), "ES004", denied},
	{"gap in a DO block", inDo(values(5)), "ES002", "ES002"},
	{"gap behind an error that is caught", swallowing(values(3), values(5)), "ES002", "ES002"},
	{"gap behind a good row that is taken back", swallowing(values(4)+`; RAISE 'no'`, values(5)), "ES002", "ES002"},
	{"gap behind a gap that is caught", swallowing(values(5), values(6)), "ES002", "ES002"},

	{"gap with constraints deferred", `BEGIN; SET CONSTRAINTS ALL DEFERRED; ` + values(5) + `; COMMIT`, "ES002", "ES002"},
	{"gap at isolation level serializable", `BEGIN ISOLATION LEVEL SERIALIZABLE; ` + values(5) + `; COMMIT`, "40001", "40001"},
	{"gap at isolation level repeatable read", `BEGIN ISOLATION LEVEL REPEATABLE READ; ` + values(4) + `; ` + values(6) + `; COMMIT`, "40001", "40001"},
	{"triggers turned off by a setting", `SET session_replication_role = replica; ` + values(5), denied, denied},
	{"gap with a search_path full of traps", `CREATE FUNCTION pg_temp.refuse(text, text, jsonb, text) RETURNS boolean LANGUAGE sql
		AS 'SELECT true'; CREATE TEMP TABLE pending_events (LIKE eventstream.events); SET search_path = pg_temp, eventstream; ` + values(5), "ES002", "ES002"},
}

// Statements that would change history or the store, or leave a gap in a roundabout way, are refused with their SQLSTATE.
func TestAttacksByStatementsAreRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for who, grant := range attackers {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			role := grant(t, b)
			// So that COPY FROM PROGRAM gets as far as the table.
			simple(t, session(t, b), `GRANT pg_execute_server_program TO `+role)
			for _, a := range statementAttacks {
				t.Run(a.name, func(t *testing.T) {
					before := contents(t, b.pool)
					conn := connect(t, b.dsn, role)
					requireSQLState(t, simpleErr(b.ctx, conn, a.sql), map[string]string{"owner": a.owner, "writer": a.writer}[who])
					require.NoError(t, conn.Close(b.ctx))
					require.Equal(t, before, contents(t, b.pool), "something stayed")
				})
			}
			requireAuditClean(t, b)

			conn := connect(t, b.dsn, role)
			simple(t, conn, insertSQL(goodRows))
			requireWatermarks(t, b.pool, "order-1@5 order-2@3 order-9@3")
			requireAuditClean(t, b)
		})
	}
}

// What waits is never removed, also when there is something: the owner's DELETE is refused while a hole is there.
func TestAttacksOnWhatWaitsAreRefused(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	role := ownerRole(t, b)
	conn := connect(t, b.dsn, role)
	simple(t, conn, `SELECT eventstream.ingest('order-1', ARRAY[5, 6], ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY['t', 't'],
		ARRAY['{}', '{}']::jsonb[])`)
	before := contents(t, b.pool)
	for sql, code := range map[string]string{
		`DELETE FROM eventstream.pending_events`:            "ES004",
		`UPDATE eventstream.pending_events SET version = 4`: "ES004",
		`TRUNCATE eventstream.pending_events`:               "ES004",
		values(4, 5):                                        "ES002", // 5 waits: it would be there twice.
		values(5):                                           "ES002",
		values(7):                                           "ES002",
		`SELECT eventstream.append('order-1', 't')`:         "ES002",
		`INSERT INTO eventstream.pending_events (stream_id, version, partition_id, tenant_id, event_id, occurred_at, type, payload)
			VALUES ('order-1', 5, 5, 'default', gen_random_uuid(), now(), 't', '{}')`: "23505",
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, sql), code)
		require.Equal(t, before, contents(t, b.pool), sql)
	}

	simple(t, conn, values(4), `SELECT eventstream.advance_watermark('order-1')`)
	requireWatermarks(t, b.pool, "order-1@6 order-2@2")
	requireAuditClean(t, b)
}
