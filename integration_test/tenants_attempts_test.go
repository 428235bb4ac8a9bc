package integration_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a tenant's login tries in SQL, with what the server must say to it: a SQLSTATE, or nothing of the rival's. FOREIGN stands for the rival's
// stream, EVENT for the id of an event in it, LOGIN for the attacker.
var tenantAttempts = []struct{ name, sql, says string }{
	{"read the events", `SELECT * FROM eventstream.events`, ""},
	{"read them by stream", `SELECT count(*) FROM eventstream.events WHERE stream_id = 'FOREIGN'`, "0|"},
	{"read what waits", `SELECT count(*) FROM eventstream.pending_events WHERE stream_id = 'order-waits'`, "0|"},
	{"read snapshots", `SELECT count(*) FROM eventstream.snapshots`, "0|"},
	{"read a sample", `SELECT count(*) FROM eventstream.events TABLESAMPLE SYSTEM (100)`, "2|"},
	{"read system columns", `SELECT count(ctid) FROM eventstream.events WHERE xmin IS NOT NULL`, "2|"},
	{"read as a whole row", `SELECT e::text FROM eventstream.events AS e`, ""},
	{"forge the setting", `SET eventstream.tenant_id = 'rival'; SELECT count(*) FROM eventstream.events`, "0|"},
	{"forge it for a transaction", `SELECT set_config('eventstream.tenant_id', 'rival', true); SELECT count(*) FROM eventstream.events`, "rival|0|"},
	{"forge it in a function", `CREATE FUNCTION pg_temp.f() RETURNS bigint LANGUAGE sql SET eventstream.tenant_id = 'rival'
		AS 'SELECT count(*) FROM eventstream.events'; SELECT pg_temp.f()`, denied},
	{"forge it while rows are read", `SELECT count(*) FROM eventstream.events WHERE set_config('eventstream.tenant_id', 'rival', true) = 'rival'`, "2|"},
	{"forge it by a list", `SET eventstream.tenant_id = 'acme,rival'; SELECT count(*) FROM eventstream.events`, "0|"},
	{"forge it by a pattern", `SET eventstream.tenant_id = '%'; SELECT count(*) FROM eventstream.events`, "0|"},
	{"take the setting away", `RESET eventstream.tenant_id; SELECT count(*) FROM eventstream.events`, "0|"},
	{"take it away for nothing", `SET eventstream.tenant_id = ''; SELECT count(*) FROM eventstream.events`, "0|"},
	{"read who is bound", `SELECT tenant_id FROM eventstream.tenant_roles`, "acme|"},
	{"bind oneself", `INSERT INTO eventstream.tenant_roles VALUES ('LOGIN', 'rival')`, denied},
	{"row security off", `SET row_security = off; SELECT * FROM eventstream.events`, denied},
	{"a leaky function", `CREATE FUNCTION pg_temp.leak(text, jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
		AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$; SELECT count(*) FROM eventstream.events WHERE pg_temp.leak(stream_id, payload)`, "2|"},
	{"a leaky function over the view", `CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
		AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$; SELECT count(*) FROM eventstream.streams WHERE pg_temp.leak(stream_id)`, "1|"},
	{"a leaky operator", `CREATE FUNCTION pg_temp.leak(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
		AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$; CREATE OPERATOR pg_temp.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.leak);
		SELECT count(*) FROM eventstream.events WHERE type OPERATOR(pg_temp.===) 'x'`, "2|"},
	{"an error that tells", `SELECT count(*) FROM eventstream.events WHERE 1 / (version - 3) > 5`, ""},
	{"a cast that tells", `SELECT count(*) FROM eventstream.events WHERE (payload ->> 'is')::integer > 0`, "0|"},
	{"a view of one's own", `CREATE TEMP VIEW v AS SELECT * FROM eventstream.events; SELECT count(*) FROM v`, "2|"},
	{"a cursor, and then the setting", `BEGIN; DECLARE c CURSOR FOR SELECT * FROM eventstream.events;
		SET LOCAL eventstream.tenant_id = 'rival'; FETCH ALL FROM c; COMMIT`, ""},
	{"a cursor that holds", `DECLARE c CURSOR WITH HOLD FOR SELECT payload FROM eventstream.events; SET eventstream.tenant_id = 'rival'; FETCH ALL FROM c`, ""},
	{"a statement that was prepared", `PREPARE q AS SELECT count(*) FROM eventstream.events; EXECUTE q; SET eventstream.tenant_id = 'rival'; EXECUTE q`, "2|0|"},
	{"COPY out", `COPY eventstream.events TO STDOUT`, ""},
	{"COPY to a program", `COPY eventstream.events TO PROGRAM 'cat'`, denied},
	{"COPY in", `COPY eventstream.events (stream_id, version, type, payload, partition_id, tenant_id) FROM STDIN`, denied},
	{"INSERT", `INSERT INTO eventstream.events (stream_id, version, type, payload, partition_id, tenant_id) VALUES ('FOREIGN', 4, 'a', '{}', 0, 'rival') RETURNING *`, denied},
	{"UPDATE", `UPDATE eventstream.events SET tenant_id = 'acme' RETURNING *`, denied},
	{"DELETE", `DELETE FROM eventstream.events RETURNING *`, denied},
	{"TRUNCATE", `TRUNCATE eventstream.events`, denied},
	{"lock rows", `SELECT * FROM eventstream.events FOR UPDATE`, denied},
	{"lock the table", `BEGIN; LOCK TABLE eventstream.events`, denied},
	{"a policy of one's own", `CREATE POLICY mine ON eventstream.events USING (true)`, denied},
	{"no policy", `DROP POLICY events_of_tenant ON eventstream.events`, denied},
	{"no row security", `ALTER TABLE eventstream.events DISABLE ROW LEVEL SECURITY`, denied},
	{"a trigger", `CREATE TRIGGER mine AFTER INSERT ON eventstream.events EXECUTE FUNCTION eventstream.events_gate()`, denied},
	{"a foreign key", `CREATE TEMP TABLE k (id uuid REFERENCES eventstream.events (event_id))`, "42P16"},
	{"become all tenants", `SET ROLE eventstream_all_tenants`, denied},
	{"become the reader", `SET ROLE eventstream_reader`, denied},
	{"become the owner", `SET ROLE postgres`, denied},
	{"become it by a setting", `SELECT set_config('role', 'postgres', true)`, denied},
	{"become another session", `SET SESSION AUTHORIZATION postgres`, denied},
	{"become the group, and forge", `SET ROLE eventstream_tenant; SET eventstream.tenant_id = 'rival'; SELECT count(*) FROM eventstream.events`, "0|"},
	{"grant oneself", `GRANT eventstream_all_tenants TO LOGIN`, denied},
	{"change oneself", `ALTER ROLE LOGIN BYPASSRLS`, denied},
	{"pretend to be a replica", `SET session_replication_role = replica`, denied},
	{"append for all", `SELECT eventstream.append('FOREIGN', 'a')`, denied},
	{"append a batch for all", `SELECT * FROM eventstream.append_batch(ARRAY['FOREIGN'], ARRAY[-1], ARRAY[1], NULL, ARRAY['a'], ARRAY['{}'::jsonb])`, denied},
	{"decide for all", `SELECT * FROM eventstream.append_if('[{"tags":["a"]}]', 0, ARRAY['FOREIGN'], ARRAY[-1], ARRAY[1], NULL, ARRAY['a'], ARRAY['{}'::jsonb])`, denied},
	{"ingest for all", `SELECT * FROM eventstream.ingest('FOREIGN', ARRAY[4], ARRAY[gen_random_uuid()], ARRAY['a'], ARRAY['{}'::jsonb])`, denied},
	{"move a watermark", `SELECT eventstream.advance_watermark('order-waits')`, denied},
	{"discard", `SELECT eventstream.discard_pending('order-waits', 'mine')`, denied},
	{"save a snapshot for all", `SELECT eventstream.save_snapshot('FOREIGN', 'tally', 3, 'EVENT', 1, '')`, denied},
	{"append as the rival", asTenant("FOREIGN", -1, "NULL", "'rival'"), "ES003"},
	{"append as the rival, setting forged", `SET eventstream.tenant_id = 'rival'; ` + asTenant("FOREIGN", -1, "NULL", "'rival'"), denied},
	{"append as the rival, without a setting", `RESET eventstream.tenant_id; ` + asTenant("FOREIGN", -1, "NULL", "'rival'"), denied},
	{"append as nobody", `RESET eventstream.tenant_id; ` + asTenant("FOREIGN", -1, "NULL", "NULL"), denied},
	{"append under the id", asTenant("FOREIGN", -1, "NULL", "NULL"), "tenant_mismatch||||0|0|acme|"},
	{"append to what exists", asTenant("FOREIGN", -2, "NULL", "NULL"), "stream_missing||||0|0||"},
	{"append at the version", asTenant("FOREIGN", 3, "NULL", "NULL"), "version_conflict||||0|0||"},
	{"append behind what waits", asTenant("order-waits", 4, "NULL", "NULL"), "version_conflict||||0|0||"},
	{"append an event again", asTenant("FOREIGN", 3, "'EVENT'", "NULL"), "ES005"},
	{"append it elsewhere", asTenant("order-new", -1, "'EVENT'", "NULL"), "ES005"},
	{"append into another partition", strings.Replace(asTenant("FOREIGN", 3, "NULL", "NULL"), "NULL, NULL)", "NULL, 31)", 1), "version_conflict||||0|0||"},
	{"a batch in two names", `SELECT * FROM eventstream.tenant_append_batch(ARRAY['order-a', 'FOREIGN'], ARRAY[-1, -1], ARRAY[1, 1], NULL, ARRAY['a', 'a'],
		ARRAY['{}', '{}']::jsonb[], p_tenant_ids => ARRAY['acme', 'rival'])`, "ES003"},
	{"a batch in two names, without a setting", `RESET eventstream.tenant_id; SELECT * FROM eventstream.tenant_append_batch(ARRAY['order-a', 'FOREIGN'],
		ARRAY[-1, -1], ARRAY[1, 1], NULL, ARRAY['a', 'a'], ARRAY['{}', '{}']::jsonb[], p_tenant_ids => ARRAY['acme', 'rival'])`, denied},
	{"ingest under the id", `SELECT * FROM eventstream.tenant_ingest('FOREIGN', ARRAY[4], ARRAY[gen_random_uuid()], ARRAY['a'], ARRAY['{}'::jsonb])`, "ES003"},
	{"ingest far ahead", `SELECT * FROM eventstream.tenant_ingest('FOREIGN', ARRAY[9999999], ARRAY[gen_random_uuid()], ARRAY['a'], ARRAY['{}'::jsonb])`, "ES003"},
	{"ingest an event elsewhere", `SELECT * FROM eventstream.tenant_ingest('order-i', ARRAY[1], ARRAY['EVENT'::uuid], ARRAY['a'], ARRAY['{}'::jsonb])`, "ES005"},
	{"move the rival's watermark", `SELECT eventstream.tenant_advance_watermark('order-waits')`, "0|"},
	{"save a snapshot for the rival", `SELECT eventstream.tenant_save_snapshot('FOREIGN', 'tally', 1, 'EVENT', 1, '')`, "contradicted|"},
	{"decide on the rival's tags", `BEGIN; SELECT outcome, found_position FROM eventstream.tenant_append_if('[{"tags":["tag-of-rival"]}]', 0, ARRAY['order-d'],
		ARRAY[-1], ARRAY[1], ARRAY[gen_random_uuid()], ARRAY['a'], ARRAY['{}'::jsonb]); ROLLBACK`, "appended||"},
	{"draw a position", `SELECT nextval('eventstream.events_position_seq')`, denied},
	{"read statistics", `SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE schemaname = 'eventstream' AND tablename IN ('events', 'pending_events', 'snapshots')`, ""},
	{"read them raw", `SELECT * FROM pg_statistic`, denied},
	{"read what others run", `SELECT query FROM pg_stat_activity WHERE usename <> session_user`, ""},
	{"EXPLAIN", `EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM eventstream.events WHERE stream_id = 'order-own'`, ""},
	{"shadow a function", `CREATE FUNCTION pg_temp.current_setting(text) RETURNS text LANGUAGE sql AS 'SELECT ''rival''';
		CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''rival''';
		SET search_path = pg_temp, pg_catalog; SELECT count(*) FROM eventstream.events`, "2|"},
	{"shadow a table and a type", `CREATE TEMP TABLE tenant_roles (role_name name, tenant_id text); CREATE DOMAIN pg_temp.text AS pg_catalog.text;
		SET search_path = pg_temp, pg_catalog; SELECT count(*) FROM eventstream.events; SET eventstream.tenant_id = 'rival'; SELECT count(*) FROM eventstream.events`, "2|0|"},
	{"run as somebody else", `CREATE FUNCTION pg_temp.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM eventstream.events'; SELECT pg_temp.f()`, "2|"},
	{"a trigger of the gate on one's own table", `CREATE TEMP TABLE mine (LIKE eventstream.events);
		CREATE TRIGGER g AFTER INSERT ON mine REFERENCING NEW TABLE AS new_events EXECUTE FUNCTION eventstream.events_gate()`, denied},
	{"the parked", `SELECT * FROM eventstream.parked_events`, denied},
	{"timers", `SELECT * FROM eventstream.timers`, denied},
	{"the audit", `SELECT * FROM eventstream.audit()`, denied},
	{"the digests", `SELECT * FROM eventstream.event_digests`, denied},
	{"large objects of one's own name", `SELECT lo_export(0, '/tmp/x')`, denied},
}

// asTenant is an append of one event, and what becomes of it.
func asTenant(stream string, expected int, id, tenant string) string {
	return fmt.Sprintf(`SELECT * FROM eventstream.tenant_append_event('%s', %d, %s, 'a', '{}', NULL, NULL, NULL, %s, NULL)`, stream, expected, id, tenant)
}

func TestTenantsAttempts(t *testing.T) {
	t.Parallel()
	target := newTenantTarget(t)
	for _, attempt := range tenantAttempts {
		conn := target.attacker(t)
		target.try(conn, `SET eventstream.tenant_id = 'acme'`)
		sql := strings.NewReplacer("FOREIGN", string(target.foreign), "EVENT", target.ids[0].String(), "LOGIN", target.login).Replace(attempt.sql)
		told := target.try(conn, sql)
		target.requireNothingTold(t, told, sql)
		switch {
		case len(attempt.says) == 5 && !strings.Contains(attempt.says, "|"):
			assert.Regexp(t, `(?m)(^|\|)`+attempt.says+` `, told, attempt.name)
		case attempt.says != "":
			answers := told[strings.LastIndex(told, "\n")+1:] // behind what the attacker's own code told
			assert.Equal(t, attempt.says, answers, "%s: %s", attempt.name, told)
		}
		require.NoError(t, conn.Close(target.ctx))
	}
	require.Equal(t, target.before, target.theirs(t))
	requireAuditKnows(t, target)
}

// requireAuditKnows demands that the audit finds nothing but the hole that the target was made with.
func requireAuditKnows(t *testing.T, target *tenantTarget) {
	t.Helper()
	require.Equal(t, []string{"warning pending order-waits: hole"}, auditProblems(t, target.pool))
}

// PostgreSQL runs code of whoever owns a table while it analyzes it, in the session of whoever does: a superuser, as a rule. The
// functions for tenants take no order from there.
func TestTenantsFunctionsTakeNoOrderFromMaintenance(t *testing.T) {
	t.Parallel()
	target := newTenantTarget(t)
	execSQL(t, target.ctx, target.pool, `CREATE SCHEMA lair AUTHORIZATION `+target.login)
	t.Cleanup(func() { execSQL(t, context.Background(), target.pool, `DROP SCHEMA lair CASCADE`) })
	conn := target.attacker(t)
	simple(t, conn, `CREATE TABLE lair.bait (n integer)`, `INSERT INTO lair.bait VALUES (1)`,
		`CREATE TABLE lair.told (said text)`,
		`CREATE FUNCTION lair.read() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_catalog.set_config('eventstream.tenant_id', 'rival', true);
			INSERT INTO lair.told SELECT pg_catalog.concat(session_user, ' ', e.payload) FROM (SELECT 1) AS one
				LEFT JOIN eventstream.events AS e ON true;
			END $$`,
		`CREATE FUNCTION lair.write() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_catalog.set_config('eventstream.tenant_id', 'rival', true);
			PERFORM eventstream.tenant_append_event('order-bitten', -1, NULL, 'a', '{}', NULL, NULL, NULL, 'rival', NULL);
			EXCEPTION WHEN OTHERS THEN INSERT INTO lair.told VALUES (SQLERRM);
			END $$`,
		`CREATE FUNCTION lair.bite(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
			IF session_user <> '`+target.login+`' THEN
				PERFORM lair.read();
				PERFORM lair.write();
			END IF;
			RETURN $1; END $$`,
		`CREATE INDEX ON lair.bait (lair.bite(n))`)
	simple(t, session(t, target.bundle), `ANALYZE lair.bait`)
	require.Equal(t, []string{"postgres ", "role postgres is not bound to a tenant"},
		texts(t, target.bundle, `SELECT said FROM lair.told`), "in a superuser's session, and with nothing gained")
	require.Equal(t, target.before, target.theirs(t))
}

// A service that may name any tenant gets that tenant's events from a statement that it prepared as another, and from its functions.
func TestTenantsAStatementIsNobodysForGood(t *testing.T) {
	t.Parallel()
	target := newTenantTarget(t)
	conn := connect(t, target.dsn, tenantLogin(t, target.bundle))
	simple(t, conn, `PREPARE mine AS SELECT count(*) FROM eventstream.events`)
	for range 8 { // past the plans that are made for one execution
		for tenant, events := range map[string]string{"acme": "2", "rival": "3", "": "0"} {
			told := target.try(conn, `SET eventstream.tenant_id = '`+tenant+`'; EXECUTE mine; SELECT eventstream.count_streams()`)
			require.True(t, strings.HasPrefix(told, events+"|"), "%s: %s", tenant, told)
		}
	}
}

// A raw INSERT is for writers who have the right to it: one of them that is bound writes its own tenant's events alone, and learns nothing
// from what the gate and the keys say.
func TestTenantsABoundWriterByInsert(t *testing.T) {
	t.Parallel()
	target := newTenantTarget(t)
	execSQL(t, target.ctx, target.pool, `GRANT INSERT (`+writersColumns+`) ON eventstream.events TO `+target.login)
	execSQL(t, target.ctx, target.pool, `GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO `+target.login)
	conn := target.attacker(t)
	target.try(conn, `SET eventstream.tenant_id = 'acme'`)
	insert := func(stream string, version int, tenant string, id uuid.UUID) string {
		return target.try(conn, fmt.Sprintf(`INSERT INTO eventstream.events (stream_id, version, event_id, type, payload, partition_id, tenant_id)
			VALUES ('%s', %d, '%s', 'a', '{}', eventstream.partition_of('%s', eventstream.partition_count()), '%s')`, stream, version, id, stream, tenant))
	}
	require.Empty(t, insert("order-own", 3, "acme", uuid.New()))
	require.Contains(t, insert("order-foreign", 4, "rival", uuid.New()), denied)
	for _, version := range []int{2, 3, 4, 5} {
		foreign, missing := insert("order-foreign", version, "acme", uuid.New()), insert("order-missing", version, "acme", uuid.New())
		if version > 3 { // what the key refuses says that the version is taken, and by nobody
			require.Equal(t, strings.ReplaceAll(numberless(missing), "order-missing", "order-foreign"), numberless(foreign), version)
		}
		target.requireNothingTold(t, foreign, "")
	}
	require.NotContains(t, insert("order-new", 1, "acme", target.ids[0]), "Key (")
	require.Equal(t, target.before, target.theirs(t))
}

// numberless is a text without the positions and times that two calls cannot have alike.
func numberless(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "\n")
}
