package integration_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// DESIGN's section The tables, and the log's, column by column: the type under the domain, and whether it may be NULL.
var tableColumns = map[string]map[string]string{
	"store": {"store_id": "uuid", "partition_count": "integer", "created_at": "timestamp with time zone"},
	"events": {
		"position": "bigint", "stream_id": "text", "version": "bigint", "event_id": "uuid", "type": "text", "payload": "jsonb",
		"data": "bytea, may be NULL", "metadata": "jsonb", "tenant_id": "text", "partition_id": "integer",
		"occurred_at": "timestamp with time zone", "recorded_at": "timestamp with time zone",
	},
	"archived_events": {
		"position": "bigint", "stream_id": "text", "version": "bigint", "event_id": "uuid", "type": "text", "payload": "jsonb",
		"data": "bytea, may be NULL", "metadata": "jsonb", "tenant_id": "text", "partition_id": "integer",
		"occurred_at": "timestamp with time zone", "recorded_at": "timestamp with time zone",
	},
	"pending_events": {
		"stream_id": "text", "version": "bigint", "event_id": "uuid", "type": "text", "payload": "jsonb", "data": "bytea, may be NULL",
		"metadata": "jsonb", "tenant_id": "text", "partition_id": "integer", "occurred_at": "timestamp with time zone",
		"received_at": "timestamp with time zone",
	},
	"discarded_events": {
		"stream_id": "text", "version": "bigint", "event_id": "uuid", "type": "text", "payload": "jsonb", "data": "bytea, may be NULL",
		"metadata": "jsonb", "tenant_id": "text", "partition_id": "integer", "occurred_at": "timestamp with time zone",
		"received_at": "timestamp with time zone", "discarded_at": "timestamp with time zone", "discarded_by": "text", "reason": "text",
	},
	"erasures": {
		"erasure": "bigint", "position": "bigint, may be NULL", "version": "bigint", "event_id": "uuid", "erased_at": "timestamp with time zone", "stream_id": "text",
		"place": "text", "erased_by": "text", "reason": "text", "payload_digest": "bytea", "data_digest": "bytea, may be NULL",
		"metadata_digest": "bytea",
	},
	"log_marks": {
		"position": "bigint", "sequence": "bigint", "recorded_at": "timestamp with time zone",
	},
	"log_state": {
		"lane": "integer", "stable_position": "bigint", "last_position": "bigint", "last_sequence": "bigint",
		"marked_position": "bigint", "marked_sequence": "bigint", "last_recorded_at": "timestamp with time zone",
		"updated_at": "timestamp with time zone",
	},
	"parked_events": {
		"position": "bigint", "version": "bigint", "parked_at": "timestamp with time zone", "tries": "integer",
		"subscription": "text", "stream_id": "text", "error": "text",
	},
	"partition_marks": {
		"position": "bigint", "sequence": "bigint", "partition_id": "integer", "removed": "boolean",
	},
	"seals": {
		"block": "bigint", "from_position": "bigint", "to_position": "bigint", "last_sequence": "bigint", "sealed_at": "timestamp with time zone",
		"event_count": "integer", "previous_seal": "bytea", "skipped_seal": "bytea", "merkle_root": "bytea", "seal": "bytea", "leaves": "bytea",
		"positions": "bytea",
	},
	"schema_record": {
		"recorded_at": "timestamp with time zone", "kind": "text", "name": "text", "digest": "bytea, may be NULL", "recorded_by": "text",
	},
	"snapshots": {
		"version": "bigint", "event_id": "uuid", "created_at": "timestamp with time zone", "schema_version": "integer",
		"stream_id": "text", "name": "text", "digest": "bytea", "state": "bytea",
	},
	"subscription_members": {
		"member_id": "bigint", "application": "text", "subscriptions": "text[]", "joined_at": "timestamp with time zone",
		"reported_at": "timestamp with time zone", "lease_until": "timestamp with time zone",
	},
	"subscription_shards": {
		"position": "bigint", "epoch": "bigint", "events": "bigint", "member_id": "bigint, may be NULL",
		"updated_at": "timestamp with time zone", "shard": "integer", "subscription": "text",
		"last_error": "text, may be NULL", "failing_position": "bigint, may be NULL", "failing_event": "uuid, may be NULL",
		"tries": "integer, may be NULL", "failing_since": "timestamp with time zone, may be NULL",
	},
	"subscription_skips": {
		"position": "bigint", "skipped_at": "timestamp with time zone", "subscription": "text", "skipped_by": "text",
		"reason": "text",
	},
	"subscriptions": {
		"name": "text", "shard_count": "integer", "delivery": "text", "filter": "jsonb", "start": "jsonb",
		"partition_positions": "jsonb", "paused": "boolean", "created_at": "timestamp with time zone",
		"tables_id": "uuid, may be NULL", "rebuilds": "text, may be NULL",
	},
	"rebuild_requests": {
		"requested_at": "timestamp with time zone", "taken_at": "timestamp with time zone, may be NULL",
		"ended_at": "timestamp with time zone, may be NULL", "request_id": "uuid", "takes": "integer", "shard_count": "integer, may be NULL",
		"in_place": "boolean", "projection": "text", "requested_by": "text", "taken_by": "text, may be NULL", "outcome": "text, may be NULL",
		"error": "text, may be NULL",
	},
	"schema_versions": {"version": "bigint", "usable_from": "bigint"},
	"audit_runs": {
		"run": "bigint", "since_run": "bigint, may be NULL", "started_at": "timestamp with time zone", "finished_at": "timestamp with time zone",
		"position": "bigint", "last_sequence": "bigint", "errors": "bigint", "warnings": "bigint", "run_by": "text",
		"block": "bigint, may be NULL", "seal": "bytea, may be NULL", "erasure": "bigint", "archiving": "bigint",
	},
	"archivings": {
		"archiving": "bigint", "from_version": "bigint", "to_version": "bigint", "archived_at": "timestamp with time zone",
		"stream_id": "text", "archived_by": "text",
	},
	"subject_keys": {
		"created_at": "timestamp with time zone", "key_id": "uuid", "subject": "text", "created_by": "text", "wrapped_key": "bytea",
	},
	"forgotten_subjects": {
		"forgotten_at": "timestamp with time zone", "recorded_at": "timestamp with time zone", "key_id": "uuid", "subject": "text",
		"forgotten_by": "text", "recorded_by": "text", "reason": "text",
	},
	"tenant_roles": {"role_name": "name", "tenant_id": "text"},
	"timers": {
		"next_at": "timestamp with time zone", "due_at": "timestamp with time zone", "set_at": "timestamp with time zone",
		"parked_at": "timestamp with time zone, may be NULL", "timer_id": "uuid", "tries": "integer", "process": "text", "key": "text",
		"name": "text", "payload": "jsonb", "metadata": "jsonb, may be NULL", "last_error": "text, may be NULL",
	},
	"process_states": {
		"created_at": "timestamp with time zone", "updated_at": "timestamp with time zone", "process": "text", "key": "text", "state": "jsonb",
	},
}

func TestTablesHaveTheDocumentedColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	got := map[string]map[string]string{}
	r, err := b.pool.Query(b.ctx, `
		SELECT c.relname, a.attname, format_type(coalesce(nullif(y.typbasetype, 0), y.oid), NULL)
			|| CASE WHEN a.attnotnull THEN '' ELSE ', may be NULL' END
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
		WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'goose_db_version'`)
	require.NoError(t, err)
	var table, column, kind string
	_, err = pgx.ForEachRow(r, []any{&table, &column, &kind}, func() error {
		if got[table] == nil {
			got[table] = map[string]string{}
		}
		got[table][column] = kind
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, tableColumns, got)
}

// streams is computed: a view, of the columns that it always had.
func TestStreamsIsAViewOfTheDocumentedColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.pool.Query(b.ctx, `
		SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.oid = 'eventstream.streams'::regclass AND c.relkind = 'v'
		ORDER BY a.attnum`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(r, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"stream_id text", "partition_id integer", "tenant_id text", "current_version bigint", "watermark bigint", "last_position bigint",
		"created_at timestamp with time zone", "updated_at timestamp with time zone",
	}, got)
}

func TestTablesHaveTheDocumentedKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.pool.Query(b.ctx, `SELECT c.conrelid::regclass || ' ' || c.conname || ' ' || pg_get_constraintdef(c.oid)
		FROM pg_catalog.pg_constraint AS c
		JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid
		WHERE c.connamespace = 'eventstream'::regnamespace AND c.contype IN ('p', 'u', 'x', 'f', 'c') AND t.relname <> 'goose_db_version'
		ORDER BY 1`)
	require.NoError(t, err)
	got, err := pgx.CollectRows(r, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"eventstream.archived_events archived_events_event_id_key UNIQUE (event_id)",
		"eventstream.archived_events archived_events_not_first CHECK ((version > 1))",
		"eventstream.archived_events archived_events_pkey PRIMARY KEY (stream_id, version)",
		"eventstream.archived_events archived_events_position_key UNIQUE (\"position\")",
		"eventstream.archivings archivings_pkey PRIMARY KEY (archiving)",
		"eventstream.archivings archivings_stream_id_from_version_key UNIQUE (stream_id, from_version)",
		"eventstream.archivings archivings_versions_ordered CHECK (((from_version > 1) AND (to_version >= from_version)))",
		"eventstream.audit_runs audit_runs_pkey PRIMARY KEY (run)",
		"eventstream.discarded_events discarded_events_reason_given CHECK ((reason ~ '[^[:space:]]'::text))",
		"eventstream.erasures erasures_digests_whole CHECK (((octet_length(payload_digest) = 32) AND " +
			"((octet_length(data_digest) = 32) IS NOT FALSE) AND (octet_length(metadata_digest) = 32)))",
		"eventstream.erasures erasures_erasure_key UNIQUE (erasure)",
		"eventstream.erasures erasures_pkey PRIMARY KEY (stream_id, version, place, event_id)",
		"eventstream.erasures erasures_place_known CHECK ((((place = 'events'::text) AND (\"position\" IS NOT NULL)) OR " +
			"((place = 'discarded_events'::text) AND (\"position\" IS NULL))))",
		"eventstream.erasures erasures_reason_given CHECK ((reason ~ '[^[:space:]]'::text))",
		"eventstream.events events_event_id_key UNIQUE (event_id)",
		"eventstream.events events_pkey PRIMARY KEY (stream_id, version)",
		"eventstream.events events_position_key UNIQUE (\"position\")",
		"eventstream.forgotten_subjects forgotten_subjects_forgotten_by_given CHECK ((forgotten_by ~ '[^[:space:]]'::text))",
		"eventstream.forgotten_subjects forgotten_subjects_pkey PRIMARY KEY (key_id)",
		"eventstream.forgotten_subjects forgotten_subjects_reason_given CHECK ((reason ~ '[^[:space:]]'::text))",
		"eventstream.forgotten_subjects forgotten_subjects_subject_valid CHECK (eventstream.is_name(subject))",
		"eventstream.log_marks log_marks_pkey PRIMARY KEY (\"position\")",
		"eventstream.log_state log_state_pkey PRIMARY KEY (lane)",
		"eventstream.parked_events parked_events_pkey PRIMARY KEY (subscription, \"position\")",
		"eventstream.parked_events parked_events_subscription_fkey FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE",
		"eventstream.partition_marks partition_marks_pkey PRIMARY KEY (partition_id, \"position\")",
		"eventstream.pending_events pending_events_event_id_key UNIQUE (event_id)",
		"eventstream.pending_events pending_events_pkey PRIMARY KEY (stream_id, version)",
		"eventstream.process_states process_states_pkey PRIMARY KEY (process, key)",
		"eventstream.rebuild_requests rebuild_requests_ended_whole CHECK ((((ended_at IS NULL) = (outcome IS NULL)) AND ((outcome IS NULL) OR " +
			"(outcome = ANY (ARRAY['done'::text, 'failed'::text, 'canceled'::text]))) AND ((NOT (outcome IS DISTINCT FROM 'failed'::text)) = " +
			"(error IS NOT NULL))))",
		"eventstream.rebuild_requests rebuild_requests_pkey PRIMARY KEY (projection)",
		"eventstream.rebuild_requests rebuild_requests_projection_fkey FOREIGN KEY (projection) REFERENCES eventstream.subscriptions(name) " +
			"ON DELETE CASCADE",
		"eventstream.rebuild_requests rebuild_requests_shard_count_range CHECK (((shard_count >= 1) AND " +
			"(shard_count <= eventstream.partition_count())))",
		"eventstream.rebuild_requests rebuild_requests_taken_whole CHECK (((takes >= 0) AND ((takes > 0) = (taken_at IS NOT NULL)) AND " +
			"((takes > 0) = (taken_by IS NOT NULL))))",
		"eventstream.schema_record schema_record_pkey PRIMARY KEY (kind, name, recorded_at)",
		"eventstream.schema_versions schema_versions_pkey PRIMARY KEY (version)",
		"eventstream.schema_versions schema_versions_usable_from_range CHECK (((usable_from >= 1) AND (usable_from <= version)))",
		"eventstream.seals seals_block_numbered CHECK ((block >= 1))",
		"eventstream.seals seals_digests_whole CHECK (((octet_length(previous_seal) = 32) AND (octet_length(skipped_seal) = 32) AND " +
			"(octet_length(merkle_root) = 32) AND (octet_length(seal) = 32)))",
		"eventstream.seals seals_events_counted CHECK (((event_count >= 1) AND (event_count <= ((to_position - from_position) + 1)) AND " +
			"(last_sequence >= event_count)))",
		"eventstream.seals seals_leaves_whole CHECK (((octet_length(leaves) = (32 * event_count)) AND (octet_length(positions) = (8 * event_count))))",
		"eventstream.seals seals_pkey PRIMARY KEY (block)",
		"eventstream.seals seals_positions_ordered CHECK (((from_position >= 1) AND (to_position >= from_position)))",
		"eventstream.seals seals_to_position_key UNIQUE (to_position)",
		"eventstream.snapshots snapshots_name_valid CHECK (eventstream.is_name(name))",
		"eventstream.snapshots snapshots_pkey PRIMARY KEY (stream_id, name)",
		"eventstream.snapshots snapshots_schema_version_range CHECK ((schema_version >= 1))",
		"eventstream.snapshots snapshots_state_size CHECK ((octet_length(state) <= 128000000))",
		"eventstream.snapshots snapshots_version_range CHECK ((version >= 1))",
		"eventstream.store store_partition_count_range CHECK (((partition_count >= 1) AND (partition_count <= 32768)))",
		"eventstream.store store_pkey PRIMARY KEY (store_id)",
		"eventstream.subject_keys subject_keys_pkey PRIMARY KEY (key_id)",
		"eventstream.subject_keys subject_keys_subject_key UNIQUE (subject)",
		"eventstream.subject_keys subject_keys_subject_valid CHECK (eventstream.is_name(subject))",
		"eventstream.subject_keys subject_keys_wrapped_key_size CHECK (((octet_length(wrapped_key) >= 1) AND (octet_length(wrapped_key) <= 65536)))",
		"eventstream.subscription_members subscription_members_pkey PRIMARY KEY (member_id)",
		"eventstream.subscription_shards subscription_shards_failure_whole CHECK (((num_nulls(failing_position, failing_since, tries, " +
			"last_error) = ANY (ARRAY[0, 4])) AND ((failing_event IS NULL) OR (failing_position IS NOT NULL))))",
		"eventstream.subscription_shards subscription_shards_pkey PRIMARY KEY (subscription, shard)",
		"eventstream.subscription_shards subscription_shards_position_range CHECK ((\"position\" >= 0))",
		"eventstream.subscription_shards subscription_shards_subscription_fkey FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE",
		"eventstream.subscription_skips subscription_skips_pkey PRIMARY KEY (subscription, \"position\")",
		"eventstream.subscription_skips subscription_skips_reason_given CHECK ((reason ~ '[^[:space:]]'::text))",
		"eventstream.subscriptions subscriptions_delivery_known CHECK ((delivery = ANY (ARRAY['transaction'::text, 'acknowledged'::text, 'projection'::text])))",
		"eventstream.subscriptions subscriptions_name_valid CHECK (((octet_length(name) <= 128) AND (name ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$'::text)))",
		"eventstream.subscriptions subscriptions_pkey PRIMARY KEY (name)",
		"eventstream.subscriptions subscriptions_projection_name_valid CHECK (((delivery <> 'projection'::text) OR (rebuilds IS NOT NULL) OR " +
			"((name ~ '^[a-z][a-z0-9_]{0,39}$'::text) AND (name !~ '^pg_'::text) AND (name <> ALL (ARRAY['public'::text, 'eventstream'::text, " +
			"'information_schema'::text])))))",
		"eventstream.subscriptions subscriptions_rebuilds_fkey FOREIGN KEY (rebuilds) REFERENCES eventstream.subscriptions(name) " +
			"ON DELETE CASCADE",
		"eventstream.subscriptions subscriptions_shard_count_range CHECK (((shard_count >= 1) AND (shard_count <= eventstream.partition_count())))",
		"eventstream.subscriptions subscriptions_tables_projection CHECK (((delivery = 'projection'::text) OR ((tables_id IS NULL) AND " +
			"(rebuilds IS NULL))))",
		"eventstream.tenant_roles tenant_roles_pkey PRIMARY KEY (role_name, tenant_id)",
		"eventstream.tenant_roles tenant_roles_tenant_id_valid CHECK (eventstream.is_tenant_id(tenant_id))",
		"eventstream.timers timers_pkey PRIMARY KEY (process, key, name)",
	}, got)

	require.EqualValues(t, 1, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_catalog.pg_indexes
		WHERE schemaname = 'eventstream' AND tablename = 'events'
			AND indexdef LIKE '%USING btree (partition_id, "position")'`), "the log of a partition has an index")
}

func TestEveryConstraintHasAName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.pool.Query(b.ctx, `SELECT coalesce(t.relname, y.typname), c.conname
		FROM pg_catalog.pg_constraint AS c
		LEFT JOIN pg_catalog.pg_class AS t ON t.oid = c.conrelid
		LEFT JOIN pg_catalog.pg_type AS y ON y.oid = c.contypid
		-- From PostgreSQL 18 on, NOT NULL (n) is a constraint as well, named by the server.
		WHERE c.connamespace = 'eventstream'::regnamespace AND c.contype <> 'n' AND coalesce(t.relname, '') <> 'goose_db_version'`)
	require.NoError(t, err)
	var owner, name string
	count := 0
	_, err = pgx.ForEachRow(r, []any{&owner, &name}, func() error {
		count++
		require.Regexp(t, "^"+owner+"_[a-z_]+$", name)
		require.NotRegexp(t, regexp.MustCompile(`_check\d*$|_excl\d*$|_key\d+$`), name, "a name that PostgreSQL made up")
		return nil
	})
	require.NoError(t, err)
	require.Positive(t, count)
}

func TestEveryObjectHasAComment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, err := b.pool.Query(b.ctx, `
		WITH ours AS (
			SELECT c.oid FROM pg_catalog.pg_class AS c
			WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relname NOT LIKE 'goose_db_version%'
		), objects (kind, name, comment) AS (
			SELECT 'schema', n.nspname::text, obj_description(n.oid, 'pg_namespace')
			FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'eventstream'
			UNION ALL
			SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'r' THEN 'table' WHEN 'S' THEN 'sequence' ELSE c.relkind::text END, c.relname, obj_description(c.oid, 'pg_class')
			FROM pg_catalog.pg_class AS c JOIN ours USING (oid) WHERE c.relkind NOT IN ('i', 'c')
			UNION ALL
			-- An index that a constraint made is explained by the constraint.
			SELECT 'index', c.relname, obj_description(c.oid, 'pg_class')
			FROM pg_catalog.pg_class AS c
			WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'i'
				AND c.relname <> ALL (SELECT conname FROM pg_catalog.pg_constraint)
			UNION ALL
			SELECT 'column', c.relname || '.' || a.attname, col_description(c.oid, a.attnum)
			FROM pg_catalog.pg_class AS c JOIN ours USING (oid)
			JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			WHERE c.relkind = 'r'
			UNION ALL
			SELECT 'function', p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc')
			FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'eventstream'::regnamespace
			UNION ALL
			SELECT 'type', y.typname, obj_description(y.oid, 'pg_type')
			FROM pg_catalog.pg_type AS y LEFT JOIN pg_catalog.pg_class AS k ON k.oid = y.typrelid
			WHERE y.typnamespace = 'eventstream'::regnamespace AND (y.typtype IN ('d', 'e') OR k.relkind = 'c')
			UNION ALL
			SELECT 'trigger', g.tgname, obj_description(g.oid, 'pg_trigger')
			FROM pg_catalog.pg_trigger AS g JOIN ours ON ours.oid = g.tgrelid WHERE NOT g.tgisinternal
		)
		SELECT o.kind, coalesce(string_agg(o.name, ', ') FILTER (WHERE length(o.comment) > 10 IS NOT TRUE), ''), count(*)
		FROM objects AS o GROUP BY o.kind`)
	require.NoError(t, err)
	var kind, without string
	var count int
	kinds := 0
	_, err = pgx.ForEachRow(r, []any{&kind, &without, &count}, func() error {
		kinds++
		require.Empty(t, without, "%s without a comment", kind)
		require.Positive(t, count)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 9, kinds)
}

// Whoever may read or write the tables has what the triggers need; nobody else can run what writes.
func TestFunctionsThatWriteAreNotForEverybody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role)
	conn := connect(t, b.dsn, role)
	for _, sql := range []string{
		`SELECT * FROM eventstream.append_batch(ARRAY['a'], ARRAY[-1], ARRAY[1], NULL, ARRAY['t'], NULL)`,
		`SELECT eventstream.append('a', 't')`,
		`SELECT * FROM eventstream.ingest('a', ARRAY[1], ARRAY[gen_random_uuid()], ARRAY['t'], NULL)`,
		`SELECT eventstream.advance_watermark('a')`,
		`SELECT eventstream.discard_pending('a', 'why not')`,
		`SELECT eventstream.record_schema()`,
		`SELECT * FROM eventstream.append_event('a', -1, NULL, 't', NULL, NULL, NULL, NULL, NULL, NULL)`,
		`INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload) VALUES ('a', 1, 0, 't', '{}')`,
		`SELECT * FROM eventstream.events`,
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, sql), denied)
	}
	requireWatermarks(t, b.pool, "")
}

func TestPositionsAreDrawnOneByOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var preset, sequence string
	var increment, cache, minimum, maximum int64
	var cycle bool
	require.NoError(t, b.pool.QueryRow(b.ctx, `
		SELECT pg_get_expr(d.adbin, d.adrelid), pg_get_serial_sequence('eventstream.events', 'position'),
			s.seqincrement, s.seqcache, s.seqmin, s.seqmax, s.seqcycle
		FROM pg_catalog.pg_attribute AS a
		JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = pg_get_serial_sequence('eventstream.events', 'position')::regclass
		WHERE a.attrelid = 'eventstream.events'::regclass AND a.attname = 'position'`).Scan(
		&preset, &sequence, &increment, &cache, &minimum, &maximum, &cycle))
	require.Equal(t, "nextval('eventstream.events_position_seq'::regclass)", preset)
	require.Equal(t, "eventstream.events_position_seq", sequence)
	require.EqualValues(t, 1, increment)
	require.EqualValues(t, 1, cache, "a cache hands out numbers that others have passed")
	require.EqualValues(t, 1, minimum)
	require.Equal(t, int64(1<<63-1), maximum)
	require.False(t, cycle)
}

func TestStoreHasOneRowForEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	store := func() (id uuid.UUID, count int, at time.Time) {
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT store_id, partition_count, created_at FROM eventstream.store`).Scan(&id, &count, &at))
		return id, count, at
	}
	id, count, at := store()
	require.NotZero(t, id)
	require.Equal(t, 32, count)
	require.WithinDuration(t, time.Now(), at, 24*time.Hour) // A template may be older than the test.

	conn := session(t, b)
	for sql, code := range map[string]string{
		`INSERT INTO eventstream.store DEFAULT VALUES`:                                          "23505",
		`INSERT INTO eventstream.store (store_id, partition_count) SELECT gen_random_uuid(), 8`: "23505",
		`UPDATE eventstream.store SET partition_count = 8`:                                      "ES009",
		`UPDATE eventstream.store SET store_id = gen_random_uuid()`:                             "ES009",
		`DELETE FROM eventstream.store`:                                                         "ES009",
		`TRUNCATE eventstream.store`:                                                            "ES009",
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, sql), code)
	}
	sameID, sameCount, sameAt := store()
	require.Equal(t, []any{id, count, at}, []any{sameID, sameCount, sameAt})
}

func TestPartitionCountIsChosenAtInstallAndHolds(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 7, 32768} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			t.Parallel()
			dsn := newDatabase(t)
			b := &bundle{ctx: t.Context(), dsn: dsn, pool: newPool(t, dsn)}
			require.NoError(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: count}))
			require.EqualValues(t, count, number(t, b.ctx, b.pool, `SELECT partition_count FROM eventstream.store`))
			require.EqualValues(t, count, number(t, b.ctx, b.pool, `SELECT eventstream.partition_count()`))

			execSQL(t, b.ctx, b.pool, `SELECT eventstream.append('order-' || n, 't') FROM generate_series(1, 50) AS n`)
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams
				WHERE partition_id <> eventstream.partition_of(stream_id, $1)`, count))
			for _, partition := range []int{-2, count} { // -1 stands for not given.
				_, err := b.pool.Exec(b.ctx, `SELECT eventstream.append('other', 't', p_partition_id => $1)`, partition)
				requireSQLState(t, err, "ES007")
			}
			execSQL(t, b.ctx, b.pool, `SELECT eventstream.append('other', 't', p_partition_id => $1)`, count-1)
			key, err := eventstream.PartitionOf("order-42", count)
			require.NoError(t, err)
			require.EqualValues(t, key.ID, number(t, b.ctx, b.pool,
				`SELECT partition_id FROM eventstream.streams WHERE stream_id = 'order-42'`))
			requireAuditClean(t, b)
		})
	}
}

// recorded_at is the database's clock at the moment of writing, occurred_at the caller's, whatever it says.
func TestRecordedAtIsTheDatabasesClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	clock := func() (at time.Time) {
		require.NoError(t, conn.QueryRow(b.ctx, `SELECT clock_timestamp()`).Scan(&at))
		return at
	}
	simple(t, conn, `BEGIN`)
	before := clock()
	simple(t, conn, insertSQL(rows(order9(1))))
	between := clock()
	simple(t, conn, `SELECT eventstream.append('order-9', 't', p_occurred_at => '1999-12-31 23:59:59.123456+00')`)
	after := clock()
	simple(t, conn, `COMMIT`)

	var occurred, recorded time.Time
	at := func(version int) {
		require.NoError(t, conn.QueryRow(b.ctx, `SELECT occurred_at, recorded_at FROM eventstream.events
			WHERE stream_id = 'order-9' AND version = $1`, version).Scan(&occurred, &recorded))
	}
	at(1)
	require.True(t, !recorded.Before(before) && !recorded.After(between), "the time of the statement, not of its transaction")
	require.True(t, !occurred.Before(before) && !occurred.After(between), "now, unless the caller says otherwise")
	at(2)
	require.True(t, !recorded.Before(between) && !recorded.After(after))
	require.True(t, occurred.Equal(time.Date(1999, 12, 31, 23, 59, 59, 123456000, time.UTC)))

	// Whoever may name the column cannot say anything else, but for what a clock that is set may explain: not the past, not the future, not
	// infinity.
	for _, at := range []string{"now() - interval '2 minutes'", "clock_timestamp() + interval '2 minutes'", "'1999-12-31'", "'infinity'", "'-infinity'"} {
		err := simpleErr(b.ctx, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, recorded_at)
			VALUES ('order-9', 3, 9, 't', '{}', `+at+`)`)
		require.Contains(t, requireSQLState(t, err, "ES008").Message, "recorded_at", at)
	}
	simple(t, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, recorded_at)
		VALUES ('order-9', 3, 9, 't', '{}', clock_timestamp())`)
	require.Zero(t, number(t, b.ctx, conn, `SELECT count(*) FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.proname IN ('append', 'append_batch', 'ingest')
			AND 'p_recorded_at' = ANY (p.proargnames)`))
}

func TestEventIDDefaultsToUUIDv7(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := session(t, b)
	simple(t, conn, insertSQL(manyRows(500, 0)), `SELECT eventstream.append('order-9', 't') FROM generate_series(1, 500)`)
	r, err := conn.Query(b.ctx, `SELECT event_id, recorded_at FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	var id uuid.UUID
	var recorded time.Time
	seen := map[uuid.UUID]bool{}
	_, err = pgx.ForEachRow(r, []any{&id, &recorded}, func() error {
		require.Equal(t, uuid.Version(7), id.Version(), id)
		require.Equal(t, uuid.RFC4122, id.Variant(), id)
		seconds, nanos := id.Time().UnixTime()
		require.WithinDuration(t, recorded, time.Unix(seconds, nanos), time.Second, "its first 48 bits are the time")
		seen[id] = true
		return nil
	})
	require.NoError(t, err)
	require.Len(t, seen, 1000)

	simple(t, conn, `INSERT INTO eventstream.events (stream_id, version, partition_id, type, payload, event_id)
		VALUES ('order-8', 1, 8, 't', '{}', '11111111-2222-4333-8444-555555555555')`)
	require.EqualValues(t, 1, number(t, b.ctx, conn, `SELECT count(*) FROM eventstream.events
		WHERE event_id = '11111111-2222-4333-8444-555555555555'`), "a caller may bring any")
}

// refusalsByCode raises every SQLSTATE of ours once. Each names what is wrong in its DETAIL.
var refusalsByCode = map[string]struct {
	sql  string
	keys []string
}{
	"ES001": {`SELECT eventstream.append('order-1', 't', p_expected => 7)`, []string{"stream_id", "expected", "current_version"}},
	"ES002": {values(5), []string{"stream_id", "version", "next_version", "current_version"}},
	"ES003": {insertSQL(rows(order1(4).of("acme"))), []string{"stream_id", "stream_tenant", "event_tenant"}},
	"ES004": {`DELETE FROM eventstream.events`, []string{"table", "operation"}},
	"ES005": {
		`SELECT eventstream.append('order-8', 't', p_event_id => event_id) FROM eventstream.events WHERE stream_id = 'order-1' LIMIT 1`,
		[]string{"event_id", "stream_id", "found_stream_id", "found_version"},
	},
	"ES006": {insertSQL(rows(order1(4).at(6))), []string{"stream_id", "version", "position"}},
	"ES007": {insertSQL(rows(order1(4).in(4))), []string{"stream_id", "stream_partition", "event_partition"}},
	"ES008": {insertSQL(rows(order1(0))), []string{"field", "value", "rule"}},
	"ES009": {`DELETE FROM eventstream.store`, []string{"table", "operation"}},
}

func TestRefusalsSayNumbersInDetailAndWhatToDoInHint(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	for n := 1; n <= 9; n++ {
		code := fmt.Sprintf("ES%03d", n)
		t.Run(code, func(t *testing.T) {
			refusal := requireSQLState(t, simpleErr(b.ctx, session(t, b), refusalsByCode[code].sql), code)
			var detail map[string]any
			require.NoError(t, json.Unmarshal([]byte(refusal.Detail), &detail), refusal.Detail)
			for _, key := range refusalsByCode[code].keys {
				require.Contains(t, detail, key)
				require.NotNil(t, detail[key], "%s in %s", key, refusal.Detail)
			}
			require.Regexp(t, `^[A-Z].*\.$`, refusal.Hint)
			require.NotEmpty(t, refusal.Message)
			require.NotContains(t, refusal.Message, "<NULL>")
		})
	}
	requireAuditClean(t, b)
}

// Every refusal of every attack has the same shape, not only the one of each code above.
func TestEveryRefusalHasDetailAndHint(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	conn := connect(t, b.dsn, ownerRole(t, b))
	attacks := map[string]string{}
	for _, a := range statementAttacks {
		attacks[a.name] = a.sql
	}
	for _, a := range rowAttacks {
		attacks["rows: "+a.name] = insertSQL(resolve(t, b, a.rows))
	}
	seen := map[string]int{}
	for name, sql := range attacks {
		tx, err := conn.Begin(b.ctx)
		require.NoError(t, err)
		err = simpleErr(b.ctx, conn, sql)
		if code := sqlState(err); len(code) == 5 && code[:2] == "ES" {
			seen[code]++
			refusal := requireSQLState(t, err, code)
			var detail map[string]any
			require.NoError(t, json.Unmarshal([]byte(refusal.Detail), &detail), "%s: %s", name, refusal.Detail)
			require.NotEmpty(t, detail, name)
			require.NotContains(t, refusal.Message, "stream NULL", name)
			require.NotEmpty(t, refusal.Hint, name)
		}
		_ = tx.Rollback(b.ctx)
		simple(t, conn, `ROLLBACK`, `DISCARD TEMP`, `DEALLOCATE ALL`)
	}
	for _, code := range []string{"ES002", "ES003", "ES004", "ES006", "ES007", "ES008", "ES009"} {
		require.Positive(t, seen[code], code)
	}
}
