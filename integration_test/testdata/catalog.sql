-- Facts of the catalog, for pgTAP 1.1 or later: pg_prove, or psql with pgTAP on the search_path. Generated over the catalog where it can be, so
-- that what is added later is asserted too.
SELECT * FROM no_plan();

-- Columns: those that every reader of history counts on.
SELECT columns_are('eventstream', 'events', ARRAY['position', 'version', 'event_id', 'occurred_at', 'recorded_at', 'partition_id', 'stream_id',
    'tenant_id', 'type', 'payload', 'data', 'metadata']);
SELECT columns_are('eventstream', 'forgotten_subjects', ARRAY['forgotten_at', 'recorded_at', 'key_id', 'subject', 'forgotten_by', 'recorded_by',
    'reason']);
SELECT columns_are('eventstream', 'audit_runs', ARRAY['run', 'since_run', 'started_at', 'finished_at', 'position', 'last_sequence', 'errors',
    'warnings', 'run_by', 'block', 'seal', 'erasure', 'archiving']);
SELECT col_type_is('eventstream', 'events', c.name, c.type, c.name)
FROM (VALUES
    ('position', 'bigint'), ('version', 'bigint'), ('event_id', 'uuid'), ('occurred_at', 'timestamp with time zone'),
    ('recorded_at', 'timestamp with time zone'), ('stream_id', 'text'), ('tenant_id', 'text'), ('type', 'text'), ('payload', 'jsonb'),
    ('data', 'bytea'), ('metadata', 'jsonb')
) AS c (name, type);
SELECT col_not_null('eventstream', 'events', c.name, 'not null: ' || c.name)
FROM unnest(ARRAY['position', 'version', 'event_id', 'occurred_at', 'recorded_at', 'partition_id', 'stream_id', 'tenant_id', 'type', 'payload',
    'metadata']) AS c (name);

-- Keys.
SELECT col_is_pk('eventstream', 'events', ARRAY['stream_id', 'version']);
SELECT col_is_unique('eventstream', 'events', ARRAY['event_id']);
SELECT col_is_unique('eventstream', 'events', ARRAY['position']);
SELECT col_is_pk('eventstream', 'subject_keys', ARRAY['key_id']);
SELECT col_is_unique('eventstream', 'subject_keys', ARRAY['subject']);
SELECT has_pk('eventstream', c.relname::name, 'has a key: ' || c.relname)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'r' AND c.relname <> 'discarded_events'
ORDER BY c.relname;

-- Guards.
SELECT has_trigger('eventstream', t.of::name, t.name::name)
FROM (VALUES
    ('events', 'events_gate'), ('events', 'events_append_only'), ('events', 'events_no_truncate'), ('seals', 'seals_append_only'),
    ('discarded_events', 'discarded_events_append_only'), ('schema_record', 'schema_record_frozen'), ('audit_runs', 'audit_runs_frozen'),
    ('forgotten_subjects', 'forgotten_subjects_frozen'), ('archivings', 'archivings_frozen'), ('subject_keys', 'subject_keys_leave'), ('subject_keys', 'subject_keys_frozen')
) AS t (of, name);

-- Rights: PUBLIC has none on tables, and of functions none that runs with its owner's rights but three that read.
SELECT is(coalesce((SELECT string_agg(a.privilege_type, ', ') FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0), ''), '',
    'PUBLIC may do nothing with ' || c.relname)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v', 'S')
ORDER BY c.relname;
SELECT is(EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0),
    p.proname IN ('last_position', 'live_members', 'stable_position'), 'PUBLIC does not run as the owner: ' || p.oid::regprocedure)
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prosecdef
ORDER BY p.proname;
SELECT is(EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0), false,
    'no trigger function is open to PUBLIC: ' || p.proname)
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype = 'trigger'::regtype
ORDER BY p.proname;
SELECT is(n.nspacl IS NULL OR NOT EXISTS (SELECT FROM aclexplode(n.nspacl) AS a WHERE a.grantee = 0), true, 'PUBLIC may not use the schema')
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname = 'eventstream';

-- search_path: pg_catalog first and pg_temp last, or a body that was parsed when it was created.
SELECT ok(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'] OR p.prosqlbody IS NOT NULL AND NOT p.prosecdef
    OR p.oid::regprocedure::text IN ('eventstream.partition_count()'), 'search_path of ' || p.oid::regprocedure)
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace = 'eventstream'::regnamespace
ORDER BY p.proname;

-- Volatility, and whose rights: what reads does not write, and reads as its caller.
SELECT volatility_is('eventstream', p.name::name, p.volatility, p.name || ' is ' || p.volatility)
FROM (VALUES
    ('audit', 'stable'), ('verify_seals', 'stable'), ('read_log', 'stable'), ('load_snapshot', 'stable'), ('merkle_root', 'immutable'),
    ('is_name', 'immutable'), ('run_audit', 'volatile'), ('forget_subject', 'volatile'), ('append_batch', 'volatile'), ('audit_since', 'stable')
) AS p (name, volatility);
SELECT isnt_definer('eventstream', p.name::name, p.name || ' runs with the rights of its caller')
FROM unnest(ARRAY['audit', 'verify_seals', 'read_log', 'load_snapshot', 'audit_objects', 'kept_seal', 'record_schema']) AS p (name);
SELECT is_definer('eventstream', p.name::name, p.name || ' runs with the rights of its owner')
FROM unnest(ARRAY['append_batch', 'append_event', 'forget_subject', 'create_subject_key', 'run_audit', 'events_gate']) AS p (name);

-- Policies.
SELECT policies_are('eventstream', 'snapshots', ARRAY['snapshots_of_visible_streams']);
SELECT policy_cmd_is('eventstream', 'snapshots', 'snapshots_of_visible_streams'::name, 'ALL');
SELECT is(c.relrowsecurity, true, 'row security of ' || c.relname)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'eventstream'::regnamespace AND EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid);

SELECT * FROM finish();
