-- +goose Up
-- Audit: whether the store keeps its promises, in plain SQL. Each view lists what is wrong and is empty when nothing is; audit() puts
-- them together. Everything here reads whole tables, set by set, and locks nothing.
-- Locks: none.

CREATE VIEW eventstream.audit_gaps AS
SELECT
    e.stream_id,
    e.previous_version + 1 AS first_missing,
    e.version - 1 AS last_missing,
    e.version - e.previous_version - 1 AS missing
FROM (
    SELECT
        v.stream_id,
        v.version,
        lag(v.version, 1, 0::bigint) OVER (PARTITION BY v.stream_id ORDER BY v.version) AS previous_version
    FROM (SELECT n.stream_id, n.version::bigint AS version FROM eventstream.events AS n) AS v
) AS e
WHERE e.version <> e.previous_version + 1;

COMMENT ON VIEW eventstream.audit_gaps IS 'Versions missing between events of a stream, or before its first. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_heads AS
SELECT
    coalesce(s.stream_id, e.stream_id, p.stream_id) AS stream_id,
    s.current_version::bigint AS current_version,
    s.watermark::bigint AS watermark,
    s.last_position,
    coalesce(e.last_version, 0) AS events_last_version,
    coalesce(e.last_position, 0) AS events_last_position,
    p.last_version AS pending_last_version,
    CASE
        WHEN s.stream_id IS NULL THEN 'events without a head'
        WHEN s.watermark <> coalesce(e.last_version, 0) THEN 'watermark differs from the last event'
        WHEN s.last_position <> coalesce(e.last_position, 0) THEN 'last_position differs from the last event'
        WHEN s.current_version = 0 THEN 'head without an event'
        ELSE 'current_version differs from the last event known'
    END AS problem
FROM eventstream.streams AS s
FULL JOIN (
    SELECT n.stream_id, max(n.version::bigint) AS last_version, max(n.position) AS last_position
    FROM eventstream.events AS n
    GROUP BY n.stream_id
) AS e ON e.stream_id = s.stream_id
FULL JOIN (
    SELECT w.stream_id, max(w.version::bigint) AS last_version FROM eventstream.pending_events AS w GROUP BY w.stream_id
) AS p ON p.stream_id = coalesce(s.stream_id, e.stream_id)
WHERE s.stream_id IS NULL
    OR s.watermark <> coalesce(e.last_version, 0)
    OR s.last_position <> coalesce(e.last_position, 0)
    OR s.current_version <> greatest(coalesce(e.last_version, 0), coalesce(p.last_version, 0))
    OR s.current_version = 0;

COMMENT ON VIEW eventstream.audit_heads IS 'Heads that differ from their events, and events without a head. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_order AS
SELECT
    o.stream_id,
    o.version,
    o.position,
    o.previous_version,
    o.previous_position,
    CASE WHEN o.position <= o.previous_position THEN 'position not above that of the version before'
        ELSE 'position was never drawn' END AS problem
FROM (
    SELECT
        e.stream_id,
        e.version::bigint AS version,
        e.position,
        lag(e.version::bigint) OVER w AS previous_version,
        lag(e.position) OVER w AS previous_position
    FROM eventstream.events AS e
    WINDOW w AS (PARTITION BY e.stream_id ORDER BY e.version)
) AS o
WHERE o.position <= o.previous_position
    OR o.position < 1
    OR o.position > (SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END FROM eventstream.events_position_seq AS q);

COMMENT ON VIEW eventstream.audit_order IS
    'Events whose position does not rise with the version, or is one that the sequence never gave. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_tenants AS
SELECT e.stream_id, e.version::bigint AS version, e.tenant_id, s.tenant_id AS stream_tenant, 'events' AS place
FROM eventstream.events AS e
JOIN eventstream.streams AS s ON s.stream_id = e.stream_id
WHERE e.tenant_id <> s.tenant_id
UNION ALL
SELECT p.stream_id, p.version::bigint, p.tenant_id, s.tenant_id, 'pending_events'
FROM eventstream.pending_events AS p
JOIN eventstream.streams AS s ON s.stream_id = p.stream_id
WHERE p.tenant_id <> s.tenant_id;

COMMENT ON VIEW eventstream.audit_tenants IS 'Events of another tenant than their stream. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_partitions AS
SELECT
    e.stream_id,
    e.version::bigint AS version,
    e.partition_id::integer AS partition_id,
    s.partition_id::integer AS stream_partition,
    'event in another partition than its stream' AS problem
FROM eventstream.events AS e
JOIN eventstream.streams AS s ON s.stream_id = e.stream_id
WHERE e.partition_id <> s.partition_id
UNION ALL
SELECT p.stream_id, p.version::bigint, p.partition_id::integer, s.partition_id::integer,
    'pending event in another partition than its stream'
FROM eventstream.pending_events AS p
JOIN eventstream.streams AS s ON s.stream_id = p.stream_id
WHERE p.partition_id <> s.partition_id
UNION ALL
SELECT s.stream_id, NULL, s.partition_id::integer, s.partition_id::integer, 'no such partition in this store'
FROM eventstream.streams AS s
WHERE s.partition_id NOT BETWEEN 0 AND (SELECT t.partition_count - 1 FROM eventstream.store AS t)
UNION ALL
SELECT NULL, NULL, NULL, NULL, format('partition_count() is %s, the store has %s',
    eventstream.partition_count(), coalesce(t.partition_count::text, 'no row'))
FROM (SELECT 1) AS one
LEFT JOIN eventstream.store AS t ON true
WHERE t.partition_count IS DISTINCT FROM eventstream.partition_count();

COMMENT ON VIEW eventstream.audit_partitions IS
    'Events in another partition than their stream, streams in none of the store''s, and a changed count. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_pending AS
SELECT
    coalesce(s.stream_id, p.stream_id) AS stream_id,
    s.watermark + 1 AS first_missing,
    coalesce(p.waiting, 0) AS waiting,
    s.current_version - s.watermark - coalesce(p.waiting, 0) AS missing,
    p.since,
    CASE
        WHEN p.first_version <= s.watermark THEN 'waits for a version that is there'
        WHEN p.first_version = s.watermark + 1 THEN 'waits for nothing: call advance_watermark'
        WHEN p.used THEN 'its event id is used by an event elsewhere'
        ELSE 'hole'
    END AS problem
FROM eventstream.streams AS s
FULL JOIN (
    SELECT
        w.stream_id,
        count(*) AS waiting,
        min(w.version::bigint) AS first_version,
        min(w.received_at) AS since,
        bool_or(EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = w.event_id)) AS used
    FROM eventstream.pending_events AS w
    GROUP BY w.stream_id
) AS p ON p.stream_id = s.stream_id
WHERE s.current_version > s.watermark OR p.stream_id IS NOT NULL;

COMMENT ON VIEW eventstream.audit_pending IS
    'Streams with a hole: the first missing version, how many events wait, how many are missing, and since when.';

-- What must be there for the rules to hold, by name, and what it must be: the definition of a trigger or constraint, a pattern for that of
-- a domain's rule, the type of a column. A trigger of the right name that never fires would be no better than none.
-- +goose StatementBegin
CREATE FUNCTION eventstream.required_objects() RETURNS TABLE (
    kind text,
    table_name text,
    name text,
    expected text
)
LANGUAGE sql
IMMUTABLE
SET search_path = ''
AS $$
    VALUES
        ('trigger', 'store', 'store_frozen',
            'BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.store FOR EACH STATEMENT EXECUTE FUNCTION eventstream.store_frozen()'),
        ('trigger', 'streams', 'streams_insert',
            'BEFORE INSERT ON eventstream.streams FOR EACH ROW WHEN (((NOT (((pg_trigger_depth() > 0) AND (current_setting(''eventstream.gate''::text, true) = ''move''::text)) IS TRUE)) AND (((new.current_version)::bigint <> 0) OR ((new.watermark)::bigint <> 0) OR (new.last_position <> 0) OR (current_setting(''eventstream.gate''::text, true) IS DISTINCT FROM ''create''::text)))) EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'streams', 'streams_update',
            'BEFORE UPDATE ON eventstream.streams FOR EACH ROW WHEN (((pg_trigger_depth() = 0) OR (current_setting(''eventstream.gate''::text, true) IS DISTINCT FROM ''move''::text))) EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'streams', 'streams_delete',
            'BEFORE DELETE ON eventstream.streams FOR EACH ROW WHEN ((((old.current_version)::bigint <> 0) OR (current_setting(''eventstream.gate''::text, true) IS DISTINCT FROM ''create''::text))) EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'streams', 'streams_truncate',
            'BEFORE TRUNCATE ON eventstream.streams FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'events', 'events_in_flight',
            'BEFORE INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_in_flight()'),
        ('trigger', 'events', 'events_gate',
            'AFTER INSERT ON eventstream.events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate()'),
        ('trigger', 'events', 'events_append_only',
            'BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'pending_events', 'pending_events_gate',
            'AFTER INSERT ON eventstream.pending_events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_gate()'),
        ('trigger', 'pending_events', 'pending_events_append_only',
            'BEFORE UPDATE OR TRUNCATE ON eventstream.pending_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only()'),
        ('trigger', 'pending_events', 'pending_events_delete',
            'BEFORE DELETE ON eventstream.pending_events FOR EACH STATEMENT WHEN ((current_setting(''eventstream.gate''::text, true) IS DISTINCT FROM ''advance''::text)) EXECUTE FUNCTION eventstream.append_only()'),
        ('constraint', 'store', 'store_pkey',
            'PRIMARY KEY (store_id)'),
        ('constraint', 'store', 'store_partition_count_range',
            'CHECK (((partition_count >= 1) AND (partition_count <= 32768)))'),
        ('constraint', 'streams', 'streams_pkey',
            'PRIMARY KEY (stream_id)'),
        ('constraint', 'streams', 'streams_watermark_range',
            'CHECK (((watermark)::bigint <= (current_version)::bigint))'),
        ('constraint', 'events', 'events_pkey',
            'PRIMARY KEY (stream_id, version)'),
        ('constraint', 'events', 'events_event_id_key',
            'UNIQUE (event_id)'),
        ('constraint', 'events', 'events_position_key',
            'UNIQUE ("position")'),
        ('constraint', 'pending_events', 'pending_events_pkey',
            'PRIMARY KEY (stream_id, version)'),
        ('constraint', 'pending_events', 'pending_events_event_id_key',
            'UNIQUE (event_id)'),
        ('domain', 'stream_id', 'stream_id_valid', '%eventstream.refuse%'),
        ('domain', 'tenant_id', 'tenant_id_valid', '%eventstream.refuse%'),
        ('domain', 'event_type', 'event_type_valid', '%eventstream.refuse%'),
        ('domain', 'version', 'version_valid', '%eventstream.refuse%'),
        ('domain', 'head_version', 'head_version_valid', '%VALUE >= 0%'),
        ('domain', 'partition_id', 'partition_id_valid', '%eventstream.refuse%'),
        ('domain', 'metadata', 'metadata_valid', '%eventstream.refuse%'),
        ('domain', 'occurred_at', 'occurred_at_valid', '%eventstream.refuse%'),
        ('column', 'streams', 'stream_id', 'eventstream.stream_id'),
        ('column', 'streams', 'tenant_id', 'eventstream.tenant_id'),
        ('column', 'streams', 'partition_id', 'eventstream.partition_id'),
        ('column', 'streams', 'current_version', 'eventstream.head_version'),
        ('column', 'streams', 'watermark', 'eventstream.head_version'),
        ('column', 'streams', 'last_position', 'bigint'),
        ('column', 'events', 'position', 'bigint'),
        ('column', 'events', 'stream_id', 'eventstream.stream_id'),
        ('column', 'events', 'version', 'eventstream.version'),
        ('column', 'events', 'event_id', 'uuid'),
        ('column', 'events', 'type', 'eventstream.event_type'),
        ('column', 'events', 'payload', 'jsonb'),
        ('column', 'events', 'metadata', 'eventstream.metadata'),
        ('column', 'events', 'tenant_id', 'eventstream.tenant_id'),
        ('column', 'events', 'partition_id', 'eventstream.partition_id'),
        ('column', 'events', 'occurred_at', 'eventstream.occurred_at'),
        ('column', 'events', 'recorded_at', 'timestamp with time zone'),
        ('column', 'pending_events', 'stream_id', 'eventstream.stream_id'),
        ('column', 'pending_events', 'version', 'eventstream.version'),
        ('column', 'pending_events', 'event_id', 'uuid'),
        ('column', 'pending_events', 'type', 'eventstream.event_type'),
        ('column', 'pending_events', 'payload', 'jsonb'),
        ('column', 'pending_events', 'metadata', 'eventstream.metadata'),
        ('column', 'pending_events', 'tenant_id', 'eventstream.tenant_id'),
        ('column', 'pending_events', 'partition_id', 'eventstream.partition_id'),
        ('column', 'pending_events', 'occurred_at', 'eventstream.occurred_at'),
        -- Increment, cache, cycle: a cached or cyclic sequence would give positions that a reader of the log has passed already.
        ('sequence', 'events', 'events_position_seq', '1 1 false')
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.required_objects() IS
    'Triggers, constraints, columns and the sequence that hold the rules: what audit_triggers looks for.';

CREATE VIEW eventstream.audit_triggers AS
SELECT
    r.table_name::text AS table_name,
    r.kind::text AS kind,
    r.name::text AS name,
    CASE
        WHEN coalesce(t.oid, c.oid, a.attrelid, q.seqrelid) IS NULL THEN 'missing'
        WHEN t.tgenabled NOT IN ('O', 'A') THEN 'disabled'
        WHEN NOT c.convalidated THEN 'not validated'
        WHEN NOT (i.indisvalid AND i.indisready) THEN 'its index is not valid'
        WHEN NOT a.attnotnull THEN 'may be NULL'
        WHEN a.attrelid IS NOT NULL THEN format('has type %s instead of %s', format_type(a.atttypid, NULL), r.expected)
        WHEN q.seqrelid IS NOT NULL THEN 'gives numbers in advance, or not upwards by one'
        ELSE format('is %s instead of %s', coalesce(pg_get_triggerdef(t.oid), pg_get_constraintdef(c.oid)), r.expected)
    END::text AS problem
FROM eventstream.required_objects() AS r
LEFT JOIN pg_catalog.pg_trigger AS t
    ON r.kind = 'trigger' AND t.tgrelid = to_regclass('eventstream.' || r.table_name) AND t.tgname = r.name
    AND NOT t.tgisinternal
LEFT JOIN pg_catalog.pg_constraint AS c
    ON c.conname = r.name AND (
        r.kind = 'constraint' AND c.conrelid = to_regclass('eventstream.' || r.table_name)
        OR r.kind = 'domain' AND c.contypid = to_regtype('eventstream.' || r.table_name))
LEFT JOIN pg_catalog.pg_index AS i ON c.conindid <> 0 AND i.indexrelid = c.conindid
LEFT JOIN pg_catalog.pg_attribute AS a
    ON r.kind = 'column' AND a.attrelid = to_regclass('eventstream.' || r.table_name) AND a.attname = r.name
    AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_sequence AS q
    ON r.kind = 'sequence' AND q.seqrelid = to_regclass('eventstream.' || r.name)
WHERE NOT coalesce(
    CASE r.kind
        WHEN 'trigger' THEN t.tgenabled IN ('O', 'A')
            AND pg_get_triggerdef(t.oid) = format('CREATE TRIGGER %I %s', r.name, r.expected)
        WHEN 'column' THEN a.attnotnull AND format_type(a.atttypid, NULL) = r.expected
        WHEN 'sequence' THEN concat_ws(' ', q.seqincrement, q.seqcache, q.seqcycle::text) = r.expected
        ELSE c.convalidated AND pg_get_constraintdef(c.oid) LIKE r.expected AND coalesce(i.indisvalid AND i.indisready, true)
    END, false);

COMMENT ON VIEW eventstream.audit_triggers IS
    'Triggers, constraints, column types and the sequence that hold the rules, where one is missing, disabled or not validated.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.audit() RETURNS TABLE (
    check_name text,
    severity text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = ''
-- Compiling these queries and sorting on disk took longer than running them.
SET jit = off
SET work_mem = '64MB'
AS $$
BEGIN
    RETURN QUERY
    SELECT 'triggers', 'error', NULL::text, NULL::bigint, to_jsonb(t) FROM eventstream.audit_triggers AS t
    UNION ALL
    SELECT 'gaps', 'error', g.stream_id::text, g.first_missing, to_jsonb(g) FROM eventstream.audit_gaps AS g
    UNION ALL
    SELECT 'heads', 'error', h.stream_id::text, h.watermark, to_jsonb(h) FROM eventstream.audit_heads AS h
    UNION ALL
    SELECT 'order', 'error', o.stream_id::text, o.version, to_jsonb(o) FROM eventstream.audit_order AS o
    UNION ALL
    SELECT 'tenants', 'error', n.stream_id::text, n.version, to_jsonb(n) FROM eventstream.audit_tenants AS n
    UNION ALL
    SELECT 'partitions', 'error', p.stream_id::text, p.version, to_jsonb(p) FROM eventstream.audit_partitions AS p
    UNION ALL
    SELECT 'pending', CASE WHEN w.problem = 'hole' THEN 'warning' ELSE 'error' END, w.stream_id::text, w.first_missing, to_jsonb(w)
    FROM eventstream.audit_pending AS w;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.audit() IS
    'Everything that is wrong with the store: no row means clean. severity: error for damage, warning for a hole that events wait behind.';

-- +goose Down
DROP FUNCTION eventstream.audit();
DROP VIEW eventstream.audit_triggers;
DROP FUNCTION eventstream.required_objects();
DROP VIEW eventstream.audit_pending;
DROP VIEW eventstream.audit_partitions;
DROP VIEW eventstream.audit_tenants;
DROP VIEW eventstream.audit_order;
DROP VIEW eventstream.audit_heads;
DROP VIEW eventstream.audit_gaps;
