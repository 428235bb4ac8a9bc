package integration_test

// damage is what a superuser does who turned all triggers off, and what the audit says of it: each finding as auditProblems writes
// it. The store is attackStore's, with a hole in order-3 (versions 1, 2 and 4 to 6, of which 4 to 6 wait) if the damage needs one.
type damage struct {
	name string
	sql  string
	want []string
	hole bool
}

const holeIsThere = "warning pending order-3: hole"

// changed is a finding of audit_triggers: what an object is now.
func changed(name, now string) []string {
	return []string{"triggers " + name + ": not as it was installed: it is now " + now}
}

var damages = map[string][]damage{
	"audit_gaps": {
		{"gap in the middle", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`, []string{"gaps order-1"}, false},
		{"first version missing", `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 1`, []string{"gaps order-1"}, false},
		{
			"renumbered, a gap behind it", `UPDATE eventstream.events SET version = 4 WHERE stream_id = 'order-1' AND version = 3`,
			[]string{"gaps order-1"},
			false,
		},
		{
			"renumbered to version 0", `UPDATE eventstream.events SET version = 0 WHERE stream_id = 'order-1' AND version = 1`,
			[]string{"gaps order-1"},
			false,
		},
		{
			"renamed, without its first event", `UPDATE eventstream.events SET stream_id = 'order-7' WHERE stream_id = 'order-1' AND version > 1`,
			[]string{"gaps order-7"},
			false,
		},
		{
			"duplicate version, the key dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			UPDATE eventstream.events SET version = 1 WHERE stream_id = 'order-1' AND version = 2`,
			[]string{"gaps order-1", "triggers events.events_pkey: missing"},
			false,
		},
		{
			"duplicate version by a table that inherits", `CREATE TABLE public.child () INHERITS (eventstream.events);
			INSERT INTO public.child SELECT * FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`,
			[]string{
				"gaps order-1", "order order-1: position not above that of the version before",
				"triggers events: not as it was installed: it is now persistence p, row security t, forced f, rules 0, with public.child",
			},
			false,
		},
	},
	// What was numbered is missed, though nothing in its stream tells of it.
	"audit_sequences": {
		{
			"last event removed", `SELECT eventstream.advance_stable_position();
			DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 3`,
			[]string{"sequences: sequence numbers and events differ in number"},
			false,
		},
		{
			"last event of the log removed", `SELECT eventstream.advance_stable_position();
			DELETE FROM eventstream.events WHERE stream_id = 'order-2' AND version = 2`,
			[]string{"sequences: sequence numbers and events differ in number"},
			false,
		},
		{
			"a whole stream removed", `SELECT eventstream.advance_stable_position();
			DELETE FROM eventstream.events WHERE stream_id = 'order-2'`,
			[]string{"sequences: sequence numbers and events differ in number"},
			false,
		},
		{
			"all events removed", `SELECT eventstream.advance_stable_position(); TRUNCATE eventstream.events`,
			[]string{"sequences: sequence numbers and events differ in number"},
			false,
		},
		{
			"gap in the middle", `SELECT eventstream.advance_stable_position();
			DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`,
			[]string{"gaps order-1", "sequences: sequence numbers and events differ in number"},
			false,
		},
		{
			"position moved beyond what was counted", `SELECT eventstream.advance_stable_position();
			UPDATE eventstream.events SET position = 6 WHERE position = 5; UPDATE eventstream.log_state SET stable_position = 5, last_position = 5`,
			[]string{"sequences: sequence numbers and events differ in number"},
			false,
		},
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
			[]string{"order order-1: position not above that of the version before", "triggers events.events_position_key: missing"},
			false,
		},
		{
			"position above the sequence", `UPDATE eventstream.events SET position = 1000 WHERE position = 3`,
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
		{"tenant of the first event differs", `UPDATE eventstream.events SET tenant_id = 'other' WHERE position = 4`, []string{"tenants order-2"}, false},
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
			"partition of the first event differs", `UPDATE eventstream.events SET partition_id = 7 WHERE position = 4`,
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
			LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 64'`, []string{
			"partitions: partition_count() is 64, the store has 32", "triggers eventstream.partition_count(): not as it was installed",
		}, false},
		{"store row removed", `DELETE FROM eventstream.store`, []string{"partitions: partition_count() is 32, the store has no row"}, false},
	},
	"audit_values": {
		{"stream id", `UPDATE eventstream.events SET stream_id = ' order-2' WHERE stream_id = 'order-2'`, []string{"values  order-2"}, false},
		{"tenant", `UPDATE eventstream.events SET tenant_id = 'a b' WHERE stream_id = 'order-2'`, []string{"values order-2"}, false},
		{"type", `UPDATE eventstream.events SET type = E'a\nb' WHERE position = 3`, []string{"values order-1"}, false},
		{"metadata", `UPDATE eventstream.events SET metadata = '[]' WHERE position = 3`, []string{"values order-1"}, false},
		{"occurred_at", `UPDATE eventstream.events SET occurred_at = 'infinity' WHERE position = 3`, []string{"values order-1"}, false},
		{
			"recorded_at", `UPDATE eventstream.events SET recorded_at = '-infinity' WHERE position = 3`,
			[]string{"values order-1", "warning clocks order-1: the clock went back by more than a minute"},
			false,
		},
	},
	"audit_erasures": {
		{
			"on record and not erased", `INSERT INTO eventstream.erasures (position, version, event_id, stream_id, reason, payload_digest, metadata_digest)
				SELECT position, version, event_id, stream_id, 'forged', sha256('a'), sha256('b') FROM eventstream.events WHERE position = 3`,
			[]string{"erasures order-1: on record as erased, and not erased"},
			false,
		},
	},
	"audit_archive": {
		{
			"a copy of an event", `INSERT INTO eventstream.archived_events SELECT * FROM eventstream.events WHERE stream_id = 'order-1' AND version = 2`,
			[]string{"archive order-1: in events as well"},
			false,
		},
	},
	"audit_pending": {
		{
			"waits for a version that exists", `UPDATE eventstream.pending_events SET version = 2 WHERE version = 4`,
			[]string{"pending order-3: waits for a version that exists: call advance_watermark"},
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
			[]string{"pending order-3: its event id is used by an event elsewhere: call advance_watermark"},
			true,
		},
	},
	"audit_triggers": {
		{"gate disabled", `ALTER TABLE eventstream.events DISABLE TRIGGER events_gate`, []string{"triggers events.events_gate: disabled"}, false},
		{
			"gate for replicas alone", `ALTER TABLE eventstream.events ENABLE REPLICA TRIGGER events_gate`,
			[]string{"triggers events.events_gate: disabled"},
			false,
		},
		{"gate for everybody is fine", `ALTER TABLE eventstream.events ENABLE ALWAYS TRIGGER events_gate`, []string{}, false},
		{"gate dropped", `DROP TRIGGER events_gate ON eventstream.events`, []string{"triggers events.events_gate: missing"}, false},
		{
			"in-flight lock dropped", `DROP TRIGGER events_in_flight ON eventstream.events`,
			[]string{"triggers events.events_in_flight: missing"},
			false,
		},
		{
			"guard of events disabled", `ALTER TABLE eventstream.events DISABLE TRIGGER events_append_only`,
			[]string{"triggers events.events_append_only: disabled"},
			false,
		},
		{"guard of the store dropped", `DROP TRIGGER store_frozen ON eventstream.store`, []string{"triggers store.store_frozen: missing"}, false},
		{"guards of what waits disabled", `ALTER TABLE eventstream.pending_events DISABLE TRIGGER ALL`, []string{
			"triggers pending_events.pending_events_append_only: disabled", "triggers pending_events.pending_events_gate: disabled",
			"triggers pending_events.pending_events_leave: disabled", "triggers pending_events.pending_events_no_truncate: disabled",
		}, false},
		{"guards of what was discarded disabled", `ALTER TABLE eventstream.discarded_events DISABLE TRIGGER ALL`, []string{
			"triggers discarded_events.discarded_events_append_only: disabled", "triggers discarded_events.discarded_events_erase_gate: disabled",
			"triggers discarded_events.discarded_events_no_truncate: disabled",
		}, false},
		{
			"gate replaced by another function", `DROP TRIGGER events_gate ON eventstream.events;
			CREATE FUNCTION public.open_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.open_gate()`,
			changed("events.events_gate", "CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION public.open_gate()"),
			false,
		},
		{
			"gate with an empty body", `CREATE OR REPLACE FUNCTION eventstream.events_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
			SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS 'BEGIN RETURN NULL; END'`,
			[]string{"triggers eventstream.events_gate(): not as it was installed"},
			false,
		},
		{
			"function without its search_path", `ALTER FUNCTION eventstream.events_gate() RESET search_path`,
			[]string{"triggers eventstream.events_gate(): not as it was installed"},
			false,
		},
		{
			"rule of values that takes everything", `CREATE OR REPLACE FUNCTION eventstream.is_name(p_value text) RETURNS boolean
			LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN true`,
			[]string{"triggers eventstream.is_name(text): not as it was installed"},
			false,
		},
		{
			"function dropped", `DROP FUNCTION eventstream.discard_pending`,
			[]string{"triggers eventstream.discard_pending(text,text,bigint): missing"},
			false,
		},
		{
			"view of the audit that finds nothing", `CREATE OR REPLACE VIEW eventstream.audit_gaps AS
			SELECT NULL::text COLLATE "C" AS stream_id, 0::bigint AS first_missing, 0::bigint AS last_missing, 0::bigint AS missing WHERE false`,
			[]string{"triggers audit_gaps: not as it was installed"},
			false,
		},
		{
			"audit that finds nothing", `CREATE OR REPLACE FUNCTION eventstream.record_schema() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'`,
			[]string{"triggers eventstream.record_schema(): not as it was installed"},
			false,
		},
		{
			"primary key dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey`,
			[]string{"triggers events.events_pkey: missing"},
			false,
		},
		{
			"primary key replaced by a unique one", `ALTER TABLE eventstream.events DROP CONSTRAINT events_pkey;
			ALTER TABLE eventstream.events ADD CONSTRAINT events_pkey UNIQUE (stream_id, version)`,
			changed("events.events_pkey", "UNIQUE (stream_id, version)"), false,
		},
		{
			"unique event id dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_event_id_key`,
			[]string{"triggers events.events_event_id_key: missing"},
			false,
		},
		{
			"unique position dropped", `ALTER TABLE eventstream.events DROP CONSTRAINT events_position_key`,
			[]string{"triggers events.events_position_key: missing"},
			false,
		},
		{
			"unique index not valid", `UPDATE pg_catalog.pg_index SET indisvalid = false
			WHERE indexrelid = 'eventstream.events_event_id_key'::regclass`,
			[]string{"triggers events.events_event_id_key: its index is not valid"},
			false,
		},
		{
			"check dropped", `ALTER TABLE eventstream.discarded_events DROP CONSTRAINT discarded_events_reason_given`,
			[]string{"triggers discarded_events.discarded_events_reason_given: missing"},
			false,
		},
		{
			"check not valid", `ALTER TABLE eventstream.store DROP CONSTRAINT store_partition_count_range;
			ALTER TABLE eventstream.store ADD CONSTRAINT store_partition_count_range CHECK (partition_count BETWEEN 1 AND 32768) NOT VALID`,
			[]string{"triggers store.store_partition_count_range: not validated"},
			false,
		},
		{
			"column that may be NULL", `ALTER TABLE eventstream.events ALTER COLUMN payload DROP NOT NULL`,
			changed("events.payload", "jsonb"), false,
		},
		{
			"column with another default", `ALTER TABLE eventstream.events ALTER COLUMN recorded_at SET DEFAULT now()`,
			changed("events.recorded_at", "timestamp with time zone NOT NULL DEFAULT now()"), false,
		},
		{
			"sequence with a cache", `ALTER SEQUENCE eventstream.events_position_seq CACHE 10`,
			changed("eventstream.events_position_seq", "INCREMENT 1 CACHE 10 CYCLE f"), false,
		},
		{
			"sequence with steps", `ALTER SEQUENCE eventstream.events_position_seq INCREMENT 5`,
			changed("eventstream.events_position_seq", "INCREMENT 5 CACHE 1 CYCLE f"), false,
		},
		{
			"sequence that cycles", `ALTER SEQUENCE eventstream.events_position_seq MAXVALUE 1000 CYCLE`,
			changed("eventstream.events_position_seq", "INCREMENT 1 CACHE 1 CYCLE t"), false,
		},
		{
			"row security on the owner too", `ALTER TABLE eventstream.events FORCE ROW LEVEL SECURITY`,
			changed("events", "persistence p, row security t, forced t, rules 0"), false,
		},
		{
			"row security", `ALTER TABLE eventstream.pending_events DISABLE ROW LEVEL SECURITY`,
			changed("pending_events", "persistence p, row security f, forced f, rules 0"), false,
		},
		{
			"rule that sends rows elsewhere", `CREATE RULE elsewhere AS ON INSERT TO eventstream.events DO INSTEAD NOTHING`,
			changed("events", "persistence p, row security t, forced f, rules 1"), false,
		},
		{
			"table that a crash empties", `ALTER TABLE eventstream.events SET UNLOGGED`,
			changed("events", "persistence u, row security t, forced f, rules 0"), false,
		},
	},
}
