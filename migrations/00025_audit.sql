-- +goose Up
-- Whether what holds the rules is as it was installed, and audit(), which puts everything together.
-- Locks: none.
-- +goose StatementBegin

-- What everybody may do. Rights of roles are for whoever runs the store to give; those of PUBLIC are the migrations'.
CREATE FUNCTION eventstream.print_public_rights() RETURNS TABLE (kind text, name text, definition text)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT 'privilege', 'PUBLIC on ' || o.name,
        coalesce((SELECT string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) FROM aclexplode(o.acl) AS a WHERE a.grantee = 0), 'nothing')
    FROM (
        SELECT p.oid::regprocedure::text AS name, coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = to_regnamespace('eventstream')
        UNION ALL
        SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
        FROM pg_catalog.pg_class AS c
        WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind IN ('r', 'v', 'S')
        UNION ALL
        SELECT 'schema ' || n.nspname, coalesce(n.nspacl, acldefault('n', n.nspowner))
        FROM pg_catalog.pg_namespace AS n
        WHERE n.oid = to_regnamespace('eventstream')
    ) AS o
    UNION ALL
    SELECT 'privilege', 'PUBLIC on column ' || c.oid::regclass || '.' || a.attname, 'some'
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE c.relnamespace = to_regnamespace('eventstream')
        AND EXISTS (SELECT FROM aclexplode(a.attacl) AS x WHERE x.grantee = 0)
    UNION ALL
    -- Code runs with the rights of its owner, and only the owner can change it.
    SELECT 'privilege', 'owner of ' || p.oid::regprocedure,
        CASE WHEN p.proowner = n.nspowner THEN 'that of the schema' ELSE pg_get_userbyid(p.proowner) END
    FROM pg_catalog.pg_proc AS p
    JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.oid = to_regnamespace('eventstream');
END;
$$;

COMMENT ON FUNCTION eventstream.print_public_rights IS
    'What PUBLIC may do with each object of the schema, and whether functions belong to the owner of the schema; part '
    'of schema_objects.';

-- What holds the rules: triggers, constraints, columns, functions, views, the sequence and switches of the tables, each
-- as one text. A function for the sake of its settings: PostgreSQL prints names, times and bytes as the session has it.
CREATE FUNCTION eventstream.print_objects() RETURNS TABLE (
    kind text,
    name text,
    definition text,
    fault text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO, YMD'
SET intervalstyle = 'postgres'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET quote_all_identifiers = off
AS $$
BEGIN
    RETURN QUERY
    SELECT 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid), CASE WHEN t.tgenabled NOT IN ('O', 'A') THEN 'disabled' END
    FROM pg_catalog.pg_trigger AS t
    JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = to_regnamespace('eventstream') AND NOT t.tgisinternal
    UNION ALL
    SELECT 'constraint', coalesce(c.relname, d.typname) || '.' || k.conname, pg_get_constraintdef(k.oid),
        CASE WHEN NOT k.convalidated THEN 'not validated' WHEN NOT (i.indisvalid AND i.indisready) THEN 'its index is not valid' END
    FROM pg_catalog.pg_constraint AS k
    LEFT JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
    LEFT JOIN pg_catalog.pg_type AS d ON d.oid = k.contypid
    LEFT JOIN pg_catalog.pg_index AS i ON k.conindid <> 0 AND i.indexrelid = k.conindid
    -- NOT NULL is a constraint from PostgreSQL 18 on, and a mark of the column in every version.
    WHERE k.connamespace = to_regnamespace('eventstream') AND k.contype <> 'n'
    UNION ALL
    SELECT 'column', c.relname || '.' || a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)),
        NULL
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), NULL
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = to_regnamespace('eventstream')
    UNION ALL
    SELECT 'view', c.relname::text, pg_get_viewdef(c.oid), NULL
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'v'
    UNION ALL
    -- A cached or cyclic sequence would give positions that a reader of the log has passed already.
    SELECT 'sequence', q.seqrelid::regclass::text, format('INCREMENT %s CACHE %s CYCLE %s', q.seqincrement, q.seqcache, q.seqcycle), NULL
    FROM pg_catalog.pg_sequence AS q
    JOIN pg_catalog.pg_class AS c ON c.oid = q.seqrelid
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relname = 'events_position_seq'
    UNION ALL
    -- Row security would hide predecessors from the gate, and a rule would send rows elsewhere before it sees them.
    SELECT 'table', c.relname::text,
        format('persistence %s, row security %s, forced %s, rules %s', c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
            (SELECT count(*) FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid))
            -- Whoever reads a table reads those that inherit from it.
            || coalesce(', with ' || (
                SELECT string_agg(h.inhrelid::regclass::text, ', ' ORDER BY h.inhrelid::regclass::text COLLATE "C")
                FROM pg_catalog.pg_inherits AS h WHERE h.inhparent = c.oid), ''),
        NULL
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = to_regnamespace('eventstream') AND c.relkind = 'r'
    UNION ALL
    SELECT 'policy', c.relname || '.' || y.polname,
        concat_ws(' ', CASE WHEN y.polpermissive THEN 'permissive' ELSE 'restrictive' END, 'for', y.polcmd, 'to',
            (SELECT string_agg(CASE WHEN o.id = 0 THEN 'public' ELSE pg_get_userbyid(o.id) END, ', ' ORDER BY o.id) FROM unnest(y.polroles) AS o (id)),
            'using ' || pg_get_expr(y.polqual, y.polrelid), 'check ' || pg_get_expr(y.polwithcheck, y.polrelid)),
        NULL
    FROM pg_catalog.pg_policy AS y
    JOIN pg_catalog.pg_class AS c ON c.oid = y.polrelid
    WHERE c.relnamespace = to_regnamespace('eventstream')
    UNION ALL
    SELECT g.kind, g.name, g.definition, NULL FROM eventstream.print_public_rights() AS g;
END;
$$;

COMMENT ON FUNCTION eventstream.print_objects IS 'The rows of schema_objects.';

CREATE VIEW eventstream.schema_objects AS
SELECT p.kind::text AS kind, p.name::text AS name, p.definition::text AS definition, p.fault::text AS fault
FROM eventstream.print_objects() AS p;

COMMENT ON VIEW eventstream.schema_objects IS
    'What holds the rules, as it is now: kind, name, definition, and what keeps it from working, if anything does.';

CREATE TABLE eventstream.schema_record (
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    name text NOT NULL,
    -- SHA-256 of the definition; NULL where the object was dropped.
    digest bytea,
    recorded_by text NOT NULL DEFAULT session_user,
    CONSTRAINT schema_record_pkey PRIMARY KEY (kind, name, recorded_at)
);

COMMENT ON TABLE eventstream.schema_record IS
    'What holds the rules, as each migration left it. Rows are added, never changed: whoever replaces a function and '
    'records that leaves a trace.';
COMMENT ON COLUMN eventstream.schema_record.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN eventstream.schema_record.kind IS
    'trigger, constraint, column, function, view, sequence, table, policy or privilege.';
COMMENT ON COLUMN eventstream.schema_record.name IS 'The object.';
COMMENT ON COLUMN eventstream.schema_record.digest IS
    'SHA-256 of its definition in schema_objects; NULL if it was dropped.';
COMMENT ON COLUMN eventstream.schema_record.recorded_by IS 'The database user who recorded it.';

CREATE TRIGGER schema_record_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.schema_record
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'what was recorded stays', 'Call eventstream.record_schema() after a migration.');

COMMENT ON TRIGGER schema_record_frozen ON eventstream.schema_record IS 'The record is only added to.';

CREATE VIEW eventstream.schema_changes AS
SELECT
    coalesce(r.kind, o.kind) AS kind,
    coalesce(r.name, o.name) AS name,
    -- What was added may be somebody's own; it holds none of the rules, but it can get in their way.
    CASE WHEN r.name IS NULL AND o.kind = 'function' THEN 'warning' ELSE 'error' END AS severity,
    CASE
        WHEN r.name IS NULL THEN 'not installed by a migration'
        WHEN o.name IS NULL THEN 'missing'
        WHEN o.fault IS NOT NULL THEN o.fault
        WHEN o.kind IN ('function', 'view') THEN 'not as it was installed'
        ELSE format('not as it was installed: it is now %s', o.definition)
    END AS problem
FROM (
    SELECT DISTINCT ON (q.kind, q.name) q.kind, q.name, q.digest
    FROM eventstream.schema_record AS q
    ORDER BY q.kind, q.name, q.recorded_at DESC
) AS r
FULL JOIN eventstream.schema_objects AS o ON o.kind = r.kind AND o.name = r.name
WHERE r.digest IS NOT NULL
        -- Of what is gone, its rights are no finding of their own.
        AND (o.name IS NULL AND r.kind <> 'privilege' OR o.fault IS NOT NULL OR sha256(convert_to(o.definition, 'UTF8')) <> r.digest)
    OR r.name IS NULL AND (o.kind IN ('function', 'policy') OR o.name LIKE 'PUBLIC on column %');

COMMENT ON VIEW eventstream.schema_changes IS
    'What holds the rules and is missing, disabled, not as it was installed, or was not installed: the rows of '
    'audit_triggers and audit_privileges.';

CREATE VIEW eventstream.audit_triggers AS
SELECT c.kind, c.name, c.problem FROM eventstream.schema_changes AS c WHERE c.kind <> 'privilege';

CREATE VIEW eventstream.audit_privileges AS
SELECT c.kind, c.name, c.problem FROM eventstream.schema_changes AS c WHERE c.kind = 'privilege';

COMMENT ON VIEW eventstream.audit_privileges IS
    'Rights of PUBLIC, and owners of functions, that are not as they were installed. Empty when nothing is wrong.';

COMMENT ON VIEW eventstream.audit_triggers IS
    'Triggers, constraints, columns, functions, views and settings that are missing, disabled, or not as they were '
    'installed. Empty when nothing is wrong.';

CREATE FUNCTION eventstream.record_schema() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_changed bigint;
BEGIN
    -- What is recorded last counts, whatever the clock says.
    INSERT INTO eventstream.schema_record (recorded_at, kind, name, digest)
    SELECT greatest(clock_timestamp(), r.recorded_at + interval '1 microsecond'),
        coalesce(o.kind, r.kind), coalesce(o.name, r.name), sha256(convert_to(o.definition, 'UTF8'))
    FROM eventstream.schema_objects AS o
    FULL JOIN (
        SELECT DISTINCT ON (q.kind, q.name) q.kind, q.name, q.digest, q.recorded_at
        FROM eventstream.schema_record AS q
        ORDER BY q.kind, q.name, q.recorded_at DESC
    ) AS r ON r.kind = o.kind AND r.name = o.name
    WHERE sha256(convert_to(o.definition, 'UTF8')) IS DISTINCT FROM r.digest;
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    RETURN v_changed;
END;
$$;

COMMENT ON FUNCTION eventstream.record_schema IS
    'Records what holds the rules as it is now, for audit_triggers; how much had changed. A migration calls it last. '
    'After an upgrade of PostgreSQL, which may print definitions in another way, call it once the audit has been read.';

CREATE FUNCTION eventstream.audit_objects() RETURNS TABLE (
    check_name text,
    severity text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT CASE t.kind WHEN 'privilege' THEN 'privileges' ELSE 'triggers' END, t.severity, NULL::text, NULL::bigint,
        to_jsonb(t) - 'severity'
    FROM eventstream.schema_changes AS t
    UNION ALL
    SELECT 'pending', CASE WHEN w.problem = 'hole' THEN 'warning' ELSE 'error' END, w.stream_id, w.first_missing, to_jsonb(w)
    FROM eventstream.audit_pending AS w
    UNION ALL
    SELECT 'checkpoints', 'error', NULL::text, NULL::bigint, to_jsonb(c) FROM eventstream.audit_checkpoints AS c
    UNION ALL
    SELECT 'subject_keys', 'error', NULL::text, NULL::bigint, to_jsonb(k) FROM eventstream.audit_subject_keys AS k;
END;
$$;

COMMENT ON FUNCTION eventstream.audit_objects IS
    'The part of audit() that does not grow with the log: what holds the rules, what waits, checkpoints and keys.';

CREATE FUNCTION eventstream.audit() RETURNS TABLE (
    check_name text,
    severity text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
-- Compiling these queries and sorting on disk took longer than running them.
SET jit = off
SET work_mem = '64MB'
AS $$
BEGIN
    RETURN QUERY
    SELECT o.check_name, o.severity, o.stream_id, o.version, o.detail FROM eventstream.audit_objects() AS o
    UNION ALL
    SELECT 'gaps', 'error', g.stream_id, g.first_missing, to_jsonb(g) FROM eventstream.audit_gaps AS g
    UNION ALL
    SELECT 'order', 'error', o.stream_id, o.version, to_jsonb(o) FROM eventstream.audit_order AS o
    UNION ALL
    SELECT 'tenants', 'error', n.stream_id, n.version, to_jsonb(n) FROM eventstream.audit_tenants AS n
    UNION ALL
    SELECT 'partitions', 'error', p.stream_id, p.version, to_jsonb(p) FROM eventstream.audit_partitions AS p
    UNION ALL
    SELECT 'values', 'error', v.stream_id, v.version, to_jsonb(v) FROM eventstream.audit_values AS v
    UNION ALL
    SELECT 'erasures', 'error', r.stream_id, r.version, to_jsonb(r) FROM eventstream.audit_erasures AS r
    UNION ALL
    SELECT 'archive', 'error', a.stream_id, a.version, to_jsonb(a) FROM eventstream.audit_archive AS a
    UNION ALL
    SELECT 'sequences', 'error', NULL::text, NULL::bigint, to_jsonb(q) FROM eventstream.audit_sequences AS q
    UNION ALL
    SELECT 'seals', 'error', NULL::text, NULL::bigint, to_jsonb(s) FROM eventstream.audit_seals AS s
    UNION ALL
    SELECT 'seals', 'error', b.stream_id, b.version, to_jsonb(b) FROM eventstream.audit_newest_block AS b
    UNION ALL
    SELECT 'clocks', 'warning', k.stream_id, k.version, to_jsonb(k) FROM eventstream.audit_clocks AS k;
END;
$$;

COMMENT ON FUNCTION eventstream.audit IS
    'Everything that is wrong with the store: no row means clean. severity: error for damage; warning for what '
    'somebody should look at, as a hole that events wait behind. Reads the tables whole; run_audit() goes on from the '
    'last one.';

REVOKE EXECUTE ON FUNCTION eventstream.record_schema FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.audit, eventstream.audit_objects, eventstream.record_schema;
DROP VIEW eventstream.audit_privileges;
DROP VIEW eventstream.audit_triggers;
DROP VIEW eventstream.schema_changes;
DROP TABLE eventstream.schema_record;
DROP VIEW eventstream.schema_objects;
DROP FUNCTION eventstream.print_objects, eventstream.print_public_rights;
