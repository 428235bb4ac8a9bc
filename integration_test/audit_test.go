package integration_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// damage is what a superuser does who turned all triggers off, and what the audit says of it: each finding as auditProblems writes
// it. The store is attackStore's, with a hole in order-3 (versions 1, 2 and 4 to 6, of which 4 to 6 wait) if the damage needs one.
type damage struct {
	name string
	sql  string
	want []string
	hole bool
}

const holeIsThere = "warning pending order-3: hole"

// triggerDamage is a finding of audit_triggers.
func triggerDamage(table, name, problem string) []string {
	return []string{"triggers " + table + " " + name + ": " + problem}
}

var damages = map[string][]damage{
	"audit_gaps": {
		{"gap in the middle", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`, []string{"gaps order-1"}, false},
		{"first version missing", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1`, []string{"gaps order-1"}, false},
		{"renumbered, a gap behind it", `UPDATE eventstream.events SET version = 4 WHERE stream_id = 'order-1' AND version = 3;
			UPDATE eventstream.streams SET current_version = 4, watermark = 4 WHERE stream_id = 'order-1'`, []string{"gaps order-1"}, false},
		{
			"renumbered to version 0, the rule dropped", `ALTER DOMAIN eventstream.version DROP CONSTRAINT version_valid;
			UPDATE eventstream.events SET version = 0 WHERE stream_id = 'order-1' AND version = 1;
			ALTER DOMAIN eventstream.version ADD CONSTRAINT version_valid CHECK (VALUE >= 1) NOT VALID`,
			[]string{"gaps order-1", "triggers version version_valid: not validated"},
			false,
		},
		{
			"duplicate version, the key dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			UPDATE eventstream.events SET version = 1 WHERE stream_id = 'order-1' AND version = 2`,
			[]string{"gaps order-1", "triggers events events_pkey: missing"},
			false,
		},
		{
			"duplicate version by a table that inherits", `CREATE TABLE public.child () INHERITS (eventstream.events);
			INSERT INTO public.child SELECT * FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`,
			[]string{"gaps order-1", "order order-1: position not above that of the version before"},
			false,
		},
	},
	"audit_heads": {
		{
			"watermark lower", `UPDATE eventstream.streams SET current_version = 2, watermark = 2 WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: watermark differs from the last event"},
			false,
		},
		{
			"watermark higher", `UPDATE eventstream.streams SET current_version = 4, watermark = 4 WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: watermark differs from the last event"},
			false,
		},
		{
			"last event removed", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 3`,
			[]string{"heads order-1: watermark differs from the last event"},
			false,
		},
		{
			"current_version higher", `UPDATE eventstream.streams SET current_version = 4 WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: current_version differs from the last event known", "warning pending order-1: hole"},
			false,
		},
		{
			"current_version lower than what waits", `UPDATE eventstream.streams SET current_version = 5 WHERE stream_id = 'order-3'`,
			[]string{"heads order-3: current_version differs from the last event known", holeIsThere},
			true,
		},
		{
			"last_position lower", `UPDATE eventstream.streams SET last_position = 2 WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: last_position differs from the last event"},
			false,
		},
		{
			"last_position higher", `UPDATE eventstream.streams SET last_position = 9 WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: last_position differs from the last event"},
			false,
		},
		{
			"head missing", `DELETE FROM eventstream.streams WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: events without a head"},
			false,
		},
		{"head missing, events wait", `DELETE FROM eventstream.streams WHERE stream_id = 'order-3';
			DELETE FROM eventstream.events WHERE stream_id = 'order-3'`, []string{"heads order-3: events without a head", holeIsThere}, true},
		{
			"head renamed", `UPDATE eventstream.streams SET stream_id = 'order-7' WHERE stream_id = 'order-1'`,
			[]string{"heads order-1: events without a head", "heads order-7: watermark differs from the last event"},
			false,
		},
		{
			"head without events", `INSERT INTO eventstream.streams (stream_id, partition_id) VALUES ('order-8', 8)`,
			[]string{"heads order-8: head without an event"},
			false,
		},
		{"all events removed", `TRUNCATE eventstream.events`, []string{
			"heads order-1: watermark differs from the last event", "heads order-2: watermark differs from the last event",
		}, false},
	},
	"audit_order": {
		{
			"positions crossed", `UPDATE eventstream.events SET position = 1000 WHERE position = 1;
			UPDATE eventstream.events SET position = 1 WHERE position = 2; UPDATE eventstream.events SET position = 2 WHERE position = 1000`,
			[]string{"order order-1: position not above that of the version before"},
			false,
		},
		{
			"position twice, the key dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_position_key;
			UPDATE eventstream.events SET position = 1 WHERE position = 2`,
			[]string{"order order-1: position not above that of the version before", "triggers events events_position_key: missing"},
			false,
		},
		{
			"position above the sequence", `UPDATE eventstream.events SET position = 1000 WHERE position = 3;
			UPDATE eventstream.streams SET last_position = 1000 WHERE stream_id = 'order-1'`,
			[]string{"order order-1: position was never drawn"},
			false,
		},
		{"position 0", `UPDATE eventstream.events SET position = 0 WHERE position = 1`, []string{"order order-1: position was never drawn"}, false},
		{
			"position negative", `UPDATE eventstream.events SET position = -5 WHERE position = 1`,
			[]string{"order order-1: position was never drawn"},
			false,
		},
		{"sequence set back", `SELECT setval('eventstream.events_position_seq', 4)`, []string{"order order-2: position was never drawn"}, false},
		{"sequence restarted", `ALTER SEQUENCE eventstream.events_position_seq RESTART`, []string{
			"order order-1: position was never drawn", "order order-2: position was never drawn",
		}, false},
	},
	"audit_tenants": {
		{"tenant of an event differs", `UPDATE eventstream.events SET tenant_id = 'acme' WHERE position = 2`, []string{"tenants order-1"}, false},
		{
			"tenant of a head differs", `UPDATE eventstream.streams SET tenant_id = 'other' WHERE stream_id = 'order-2'`,
			[]string{"tenants order-2"},
			false,
		},
		{
			"tenant of what waits differs", `UPDATE eventstream.pending_events SET tenant_id = 'acme' WHERE version = 5`,
			[]string{"tenants order-3", holeIsThere},
			true,
		},
	},
	"audit_partitions": {
		{
			"partition of an event differs", `UPDATE eventstream.events SET partition_id = 6 WHERE position = 2`,
			[]string{"partitions order-1: event in another partition than its stream"},
			false,
		},
		{
			"partition of a head differs", `UPDATE eventstream.streams SET partition_id = 7 WHERE stream_id = 'order-2'`,
			[]string{"partitions order-2: event in another partition than its stream"},
			false,
		},
		{
			"partition of what waits differs", `UPDATE eventstream.pending_events SET partition_id = 31 WHERE version = 5`,
			[]string{"partitions order-3: pending event in another partition than its stream", holeIsThere},
			true,
		},
		{
			"partition count of the store changed", `UPDATE eventstream.store SET partition_count = 64`,
			[]string{"partitions: partition_count() is 32, the store has 64"},
			false,
		},
		{"partition count of the store lowered", `UPDATE eventstream.store SET partition_count = 6`, []string{
			"partitions order-2: no such partition in this store", "partitions: partition_count() is 32, the store has 6",
		}, false},
		{"partition count of the function changed", `CREATE OR REPLACE FUNCTION eventstream.partition_count() RETURNS integer
			LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 64'`, []string{"partitions: partition_count() is 64, the store has 32"}, false},
		{"store row removed", `DELETE FROM eventstream.store`, []string{"partitions: partition_count() is 32, the store has no row"}, false},
	},
	"audit_pending": {
		{
			"waits for a version that is there", `UPDATE eventstream.pending_events SET version = 2 WHERE version = 4`,
			[]string{"pending order-3: waits for a version that is there"},
			true,
		},
		{
			"waits for nothing", `UPDATE eventstream.pending_events SET version = 3 WHERE version = 4`,
			[]string{"pending order-3: waits for nothing: call advance_watermark"},
			true,
		},
		{
			"its event id is used elsewhere", `UPDATE eventstream.pending_events SET event_id = (
			SELECT event_id FROM eventstream.events WHERE position = 1) WHERE version = 4`,
			[]string{"pending order-3: its event id is used by an event elsewhere"},
			true,
		},
		{
			"some of it removed", `DELETE FROM eventstream.pending_events WHERE version = 6`,
			[]string{"heads order-3: current_version differs from the last event known", holeIsThere},
			true,
		},
		{
			"all of it removed", `TRUNCATE eventstream.pending_events`,
			[]string{"heads order-3: current_version differs from the last event known", holeIsThere},
			true,
		},
	},
	"audit_triggers": {
		{"gate disabled", `ALTER TABLE eventstream.events DISABLE TRIGGER events_gate`, triggerDamage("events", "events_gate", "disabled"), false},
		{
			"gate for replicas alone", `ALTER TABLE eventstream.events ENABLE REPLICA TRIGGER events_gate`,
			triggerDamage("events", "events_gate", "disabled"), false,
		},
		{"gate for everybody is fine", `ALTER TABLE eventstream.events ENABLE ALWAYS TRIGGER events_gate`, []string{}, false},
		{"gate dropped", `DROP TRIGGER events_gate ON eventstream.events`, triggerDamage("events", "events_gate", "missing"), false},
		{
			"in-flight lock dropped", `DROP TRIGGER events_in_flight ON eventstream.events`,
			triggerDamage("events", "events_in_flight", "missing"), false,
		},
		{
			"guard of events disabled", `ALTER TABLE eventstream.events DISABLE TRIGGER events_append_only`,
			triggerDamage("events", "events_append_only", "disabled"), false,
		},
		{"guard of the store dropped", `DROP TRIGGER store_frozen ON eventstream.store`, triggerDamage("store", "store_frozen", "missing"), false},
		{"guards of heads disabled", `ALTER TABLE eventstream.streams DISABLE TRIGGER USER`, []string{
			"triggers streams streams_delete: disabled", "triggers streams streams_insert: disabled",
			"triggers streams streams_truncate: disabled", "triggers streams streams_update: disabled",
		}, false},
		{"guards of what waits disabled", `ALTER TABLE eventstream.pending_events DISABLE TRIGGER ALL`, []string{
			"triggers pending_events pending_events_append_only: disabled", "triggers pending_events pending_events_delete: disabled",
			"triggers pending_events pending_events_gate: disabled",
		}, false},
		{
			"gate replaced by another function", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE FUNCTION public.open_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.open_gate()`,
			triggerDamage("events", "events_gate", "is CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events "+
				"FOR EACH STATEMENT EXECUTE FUNCTION public.open_gate() instead of AFTER INSERT ON eventstream.events "+
				"REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate()"), false,
		},
		{
			"primary key dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey`,
			triggerDamage("events", "events_pkey", "missing"), false,
		},
		{
			"primary key replaced by a unique one", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			ALTER TABLE eventstream.events ADD CONSTRAINT events_pkey UNIQUE (stream_id, version)`,
			triggerDamage("events", "events_pkey", "is UNIQUE (stream_id, version) instead of PRIMARY KEY (stream_id, version)"), false,
		},
		{
			"unique event id dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_event_id_key`,
			triggerDamage("events", "events_event_id_key", "missing"), false,
		},
		{
			"unique position dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_position_key`,
			triggerDamage("events", "events_position_key", "missing"), false,
		},
		{
			"unique index not valid", `UPDATE pg_catalog.pg_index SET indisvalid = false
			WHERE indexrelid = 'eventstream.events_event_id_key'::regclass`,
			triggerDamage("events", "events_event_id_key", "its index is not valid"), false,
		},
		{
			"check dropped", `ALTER TABLE eventstream.streams DROP CONSTRAINT streams_watermark_range`,
			triggerDamage("streams", "streams_watermark_range", "missing"), false,
		},
		{
			"check not valid", `ALTER TABLE eventstream.streams DROP CONSTRAINT streams_watermark_range;
			ALTER TABLE eventstream.streams ADD CONSTRAINT streams_watermark_range CHECK (watermark <= current_version) NOT VALID`,
			triggerDamage("streams", "streams_watermark_range", "not validated"), false,
		},
		{
			"rule of a value dropped", `ALTER DOMAIN eventstream.stream_id DROP CONSTRAINT stream_id_valid`,
			triggerDamage("stream_id", "stream_id_valid", "missing"), false,
		},
		{
			"column that may be NULL", `ALTER TABLE eventstream.events ALTER COLUMN payload DROP NOT NULL`,
			triggerDamage("events", "payload", "may be NULL"), false,
		},
		{
			"column without its type's rule", `ALTER TABLE eventstream.events ALTER COLUMN metadata TYPE jsonb`,
			triggerDamage("events", "metadata", "has type jsonb instead of eventstream.metadata"), false,
		},
		{
			"sequence with a cache", `ALTER SEQUENCE eventstream.events_position_seq CACHE 10`,
			triggerDamage("events", "events_position_seq", "gives numbers in advance, or not upwards by one"), false,
		},
		{
			"sequence with steps", `ALTER SEQUENCE eventstream.events_position_seq INCREMENT 5`,
			triggerDamage("events", "events_position_seq", "gives numbers in advance, or not upwards by one"), false,
		},
		{
			"sequence that cycles", `ALTER SEQUENCE eventstream.events_position_seq MAXVALUE 1000 CYCLE`,
			triggerDamage("events", "events_position_seq", "gives numbers in advance, or not upwards by one"), false,
		},
	},
}

func TestAuditFindsEachKindOfDamage(t *testing.T) {
	t.Parallel()
	for view, kinds := range damages {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			for _, d := range kinds {
				t.Run(d.name, func(t *testing.T) {
					// Within a transaction that is taken back, so that each finds the same store.
					conn := session(t, b)
					simple(t, conn, `BEGIN`)
					if d.hole {
						simple(t, conn, hole)
						require.Equal(t, []string{holeIsThere}, auditProblems(t, conn))
					} else {
						require.Empty(t, auditProblems(t, conn))
					}
					simple(t, conn, `SET LOCAL session_replication_role = replica; SET LOCAL allow_system_table_mods = on`, d.sql)
					require.Equal(t, d.want, auditProblems(t, conn))
					var reported bool
					require.NoError(t, conn.QueryRow(b.ctx, `SELECT EXISTS (SELECT FROM eventstream.`+view+`)`).Scan(&reported))
					require.Equal(t, len(d.want) > 0 || d.hole, reported, "%s is the view that says it", view)
					// Which setval is not.
					simple(t, conn, `ROLLBACK`, `SELECT setval('eventstream.events_position_seq', greatest(last_value, 7))
						FROM eventstream.events_position_seq`)
				})
			}
			requireAuditClean(t, b)
		})
	}
}

// hole makes the stream with a hole of the damages above.
const hole = `SELECT eventstream.append('order-3', 't', p_partition_id => 3) FROM generate_series(1, 2);
	SELECT eventstream.ingest('order-3', ARRAY[6, 4, 5], ARRAY[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()],
		ARRAY['t', 't', 't'], NULL)`

// Replacements that keep the name and lose the effect.
func TestAuditFindsGuardsThatDoNothing(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	for _, d := range []struct{ name, sql, object string }{
		{"gate that never fires", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events REFERENCING NEW TABLE AS new_events
			FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION eventstream.events_gate()`, "events_gate"},
		{
			"gate that calls a function of the same name elsewhere", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE FUNCTION public.events_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.events_gate()`,
			"events_gate",
		},
		{"guard that lets DELETE through", `DROP TRIGGER events_append_only ON eventstream.events;
			CREATE TRIGGER events_append_only BEFORE UPDATE ON eventstream.events
			FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only()`, "events_append_only"},
		{"primary key of other columns", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			ALTER TABLE eventstream.events ADD CONSTRAINT events_pkey PRIMARY KEY (position)`, "events_pkey"},
		{"rule that takes everything", `ALTER DOMAIN eventstream.version DROP CONSTRAINT version_valid;
			ALTER DOMAIN eventstream.version ADD CONSTRAINT version_valid CHECK (true)`, "version_valid"},
		{"what waits, in a column without a rule", `ALTER TABLE eventstream.pending_events ALTER COLUMN metadata TYPE jsonb`, "metadata"},
	} {
		t.Run(d.name, func(t *testing.T) {
			conn := session(t, b)
			simple(t, conn, `BEGIN`, d.sql)
			require.EqualValues(t, 1, number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.audit_triggers WHERE name = $1`, d.object))
			simple(t, conn, `ROLLBACK`)
		})
	}
}

// A hole is a warning, not damage, and says what an operator needs: what is missing, how many wait for it, and since when.
func TestAuditSaysWhatIsMissingHowManyWaitAndSinceWhen(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := session(t, b)
	simple(t, conn, hole)
	var severity, stream string
	var version, waiting, missing, firstMissing int64
	var since, oldest time.Time
	require.NoError(t, conn.QueryRow(b.ctx, `
		SELECT a.severity, a.stream_id, a.version, (a.detail ->> 'first_missing')::bigint, (a.detail ->> 'waiting')::bigint,
			(a.detail ->> 'missing')::bigint, (a.detail ->> 'since')::timestamptz,
			(SELECT min(received_at) FROM eventstream.pending_events)
		FROM eventstream.audit() AS a`).Scan(&severity, &stream, &version, &firstMissing, &waiting, &missing, &since, &oldest))
	require.Equal(t, "warning", severity)
	require.Equal(t, "order-3", stream)
	require.Equal(t, []int64{3, 3, 3, 1}, []int64{version, firstMissing, waiting, missing})
	require.True(t, since.Equal(oldest), "%s, %s", since, oldest)

	simple(t, conn, `SELECT eventstream.ingest('order-3', ARRAY[3], ARRAY[gen_random_uuid()], ARRAY['t'], NULL)`)
	requireAuditClean(t, b)
}

func TestAuditOfAnEmptyStoreIsClean(t *testing.T) {
	t.Parallel()
	b := setup(t)
	requireAuditClean(t, b)
	execSQL(t, b.ctx, b.pool, `VACUUM ANALYZE`)
	requireAuditClean(t, b)
}

// An auditor needs SELECT alone.
func TestAuditIsOpenToARoleThatMayOnlyRead(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	require.Empty(t, auditProblems(t, connect(t, b.dsn, role)))
}

// A store of 50,000 events, or a million when GAPLESS_TEST_BIG is set, in streams of all lengths and tenants: clean, and then with one
// event gone. Only what is found is demanded; how long it takes is logged.
func TestAuditOfALargeStore(t *testing.T) {
	t.Parallel()
	events := 50_000
	if os.Getenv("GAPLESS_TEST_BIG") != "" {
		events = 1_000_000
	}
	b := setup(t)
	ctx := context.Background() // A million take longer than a test usually may.
	conn := session(t, b)
	started := time.Now()
	execSQL(t, ctx, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, tenant_id, type, payload)
		SELECT 'order-' || s, v, s % 32, 'tenant-' || s % 7, 'order.placed', jsonb_build_object('n', v, 'note', repeat('x', 100))
		FROM generate_series(1, $1::integer / 10) AS s, generate_series(1, 10) AS v
		ORDER BY v`, events)
	t.Logf("%d events inserted through the gate in %s", events, time.Since(started).Round(time.Millisecond))

	for _, state := range []string{"never analyzed", "analyzed"} {
		if state == "analyzed" {
			execSQL(t, ctx, conn, `VACUUM ANALYZE eventstream.events, eventstream.streams`)
		}
		started = time.Now()
		findings := auditProblems(t, conn)
		t.Logf("%d events, %s, audited in %s", events, state, time.Since(started).Round(time.Millisecond))
		require.Empty(t, findings)
	}

	simple(t, conn, `SET session_replication_role = replica`,
		`DELETE FROM eventstream.events WHERE stream_id = 'order-77' AND version = 5`)
	require.Equal(t, []string{"gaps order-77"}, auditProblems(t, conn))
}

// The repository's Audit is eventstream.audit() and nothing else.
func TestAuditOfTheRepositoryIsTheDatabases(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Empty(t, findings)

	simple(t, session(t, b), `SET session_replication_role = replica`, `DELETE FROM eventstream.events WHERE position = 2`,
		`UPDATE eventstream.events SET tenant_id = 'x' WHERE position = 4`)
	findings, err = b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.Len(t, findings, int(number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit()`)))
	require.Len(t, findings, 2)
	for _, f := range findings {
		require.Contains(t, []eventstream.StreamID{"order-1", "order-2"}, f.StreamID)
	}
}
