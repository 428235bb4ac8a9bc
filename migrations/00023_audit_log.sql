-- +goose Up
-- Watching and auditing the log: how far it is stable and who holds it back, whether sequence numbers are right, how far subscriptions are.
-- Locks: none.

CREATE VIEW eventstream.audit_log AS
SELECT
    p.last_position,
    p.stable_position,
    p.last_position - p.stable_position AS behind,
    l.stable_position AS kept_position,
    l.updated_at AS kept_at,
    h.held_position,
    h.pid,
    a.application_name AS application,
    clock_timestamp() - a.xact_start AS age,
    a.query_start,
    a.state,
    a.query
FROM (
    -- The stable position first: what is drawn after it does not count as held back by more than it is.
    SELECT s.stable_position, eventstream.last_position() AS last_position
    FROM (SELECT eventstream.stable_position() AS stable_position OFFSET 0) AS s
) AS p
JOIN eventstream.log_state AS l ON l.lane = 0
LEFT JOIN (
    SELECT k.pid, min(((k.classid::bigint & 65535) << 32) | k.objid::bigint) AS held_position
    FROM pg_catalog.pg_locks AS k
    WHERE k.locktype = 'advisory' AND k.classid::bigint >> 16 = 17747 AND k.objsubid = 1
        AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    GROUP BY k.pid, k.virtualtransaction
) AS h ON h.held_position < p.last_position
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = h.pid
ORDER BY h.held_position, h.pid;

COMMENT ON VIEW eventstream.audit_log IS
    'How far the log is stable, and behind whom: a row for each transaction that holds positions, the one that holds the lowest first; one '
    'row without a holder if there is none. pid is NULL for a prepared transaction.';

-- Marks are sound if the events between one and the next are as many as the sequence numbers, those removed counted in; in the whole log,
-- positions must also follow each other without a hole after a mark.
CREATE VIEW eventstream.audit_sequences AS
SELECT NULL::integer AS partition_id, m.position, m.sequence, m.next_position, m.next_sequence, c.events + r.events AS events,
    CASE WHEN c.events + r.events <> m.next_sequence - m.sequence THEN 'sequence numbers and events differ in number'
        ELSE 'a hole without a mark' END AS problem
FROM (
    SELECT k.position, k.sequence, lead(k.position) OVER w AS next_position, lead(k.sequence) OVER w AS next_sequence
    FROM (
        SELECT 0::bigint AS position, 0::bigint AS sequence
        UNION SELECT g.position, g.sequence FROM eventstream.log_marks AS g
        UNION SELECT l.stable_position, l.last_sequence FROM eventstream.log_state AS l
    ) AS k
    WINDOW w AS (ORDER BY k.position, k.sequence)
) AS m
CROSS JOIN LATERAL (
    SELECT count(*) AS events, max(e.position) AS last_position
    FROM eventstream.events AS e
    WHERE e.position > m.position AND e.position <= m.next_position
) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS events, max(g.position) AS last_position
    FROM eventstream.partition_marks AS g
    WHERE g.removed AND g.position > m.position AND g.position <= m.next_position
        AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position)
) AS r
WHERE m.next_position IS NOT NULL
    AND (c.events + r.events <> m.next_sequence - m.sequence
        OR greatest(c.last_position, r.last_position) <> m.position + m.next_sequence - m.sequence)
UNION ALL
SELECT m.partition_id, m.position, m.sequence, m.next_position, m.next_sequence, c.events + r.events,
    'sequence numbers and events differ in number'
FROM (
    SELECT k.partition_id, k.position, k.sequence, lead(k.position) OVER w AS next_position, lead(k.sequence) OVER w AS next_sequence
    FROM (
        SELECT g.partition_id, g.position, g.sequence FROM eventstream.partition_marks AS g
        UNION ALL
        SELECT DISTINCT g.partition_id, 0::bigint, 0::bigint FROM eventstream.partition_marks AS g
    ) AS k
    WINDOW w AS (PARTITION BY k.partition_id ORDER BY k.position)
) AS m
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM eventstream.events AS e
    WHERE e.partition_id = m.partition_id AND e.position > m.position AND e.position <= m.next_position
) AS c
CROSS JOIN LATERAL (
    SELECT count(*) AS events
    FROM eventstream.partition_marks AS g
    WHERE g.removed AND g.partition_id = m.partition_id AND g.position > m.position AND g.position <= m.next_position
        AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position)
) AS r
WHERE m.next_position IS NOT NULL AND c.events + r.events <> m.next_sequence - m.sequence;

COMMENT ON VIEW eventstream.audit_sequences IS
    'Marks whose sequence numbers do not fit the events; partition_id is NULL for the whole log. Empty when nothing is wrong.';

-- A function for its setting: compiling the query takes longer than running it.
-- +goose StatementBegin
CREATE FUNCTION eventstream.subscription_lag() RETURNS TABLE (
    subscription text,
    shard integer,
    shard_count integer,
    "position" bigint,
    stable_position bigint,
    lag_events bigint,
    lag_seconds double precision,
    events bigint,
    parked bigint,
    state text,
    member_id bigint,
    application text,
    lease_until timestamptz,
    epoch bigint,
    updated_at timestamptz
)
LANGUAGE plpgsql
SET search_path = ''
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        s.name,
        h.shard,
        s.shard_count,
        h.position,
        g.stable_position,
        CASE
            WHEN s.shard_count = 1 THEN greatest(eventstream.sequence_at(g.stable_position) - eventstream.sequence_at(h.position), 0)
            ELSE b.events
        END AS lag_events,
        CASE WHEN b.since IS NULL THEN 0 ELSE greatest(extract(epoch FROM clock_timestamp() - b.since), 0) END::double precision AS lag_seconds,
        h.events,
        k.parked,
        CASE
            WHEN s.paused THEN 'paused'
            WHEN h.member_id IS NULL THEN 'free'
            WHEN v.member_id IS NULL THEN 'owner is gone'
            ELSE 'owned'
        END AS state,
        h.member_id,
        m.application,
        m.lease_until,
        h.epoch,
        h.updated_at
    FROM (SELECT eventstream.stable_position() AS stable_position OFFSET 0) AS g
    CROSS JOIN eventstream.subscriptions AS s
    JOIN eventstream.subscription_shards AS h ON h.subscription = s.name
    LEFT JOIN eventstream.subscription_members AS m ON m.member_id = h.member_id
    LEFT JOIN eventstream.live_members() AS v ON v.member_id = h.member_id
    CROSS JOIN LATERAL (
        SELECT
            sum(CASE WHEN s.shard_count = 1 THEN 0
                ELSE greatest(eventstream.partition_sequence_at(p.id, g.stable_position)
                    - eventstream.partition_sequence_at(p.id, f.position), 0) END)::bigint AS events,
            min(n.recorded_at) AS since
        FROM generate_series(h.shard, eventstream.partition_count() - 1, s.shard_count) AS p (id)
        CROSS JOIN LATERAL (
            SELECT greatest(h.position, coalesce((s.partition_positions ->> p.id::text)::bigint, 0)) AS position
        ) AS f
        LEFT JOIN LATERAL (
            SELECT e.recorded_at
            FROM eventstream.events AS e
            WHERE e.partition_id = p.id AND e.position > f.position AND e.position <= g.stable_position
            ORDER BY e.position LIMIT 1
        ) AS n ON true
    ) AS b
    CROSS JOIN LATERAL (
        SELECT count(*) AS parked
        FROM eventstream.parked_events AS x
        JOIN eventstream.events AS e ON e.position = x.position
        WHERE x.subscription = s.name AND e.partition_id % s.shard_count = h.shard
    ) AS k;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.subscription_lag() IS 'What audit_subscriptions shows.';

CREATE VIEW eventstream.audit_subscriptions AS
SELECT * FROM eventstream.subscription_lag();

COMMENT ON VIEW eventstream.audit_subscriptions IS
    'How far each shard of each subscription is: events of its partitions not handled yet, whatever its filter, the age of the oldest of '
    'them in seconds, what is parked, and who owns it.';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.required_objects() RETURNS TABLE (
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
        ('sequence', 'events', 'events_position_seq', '1 1 false'),
        ('trigger', 'log_marks', 'log_marks_frozen',
            'BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.log_marks FOR EACH STATEMENT EXECUTE FUNCTION eventstream.marks_frozen()'),
        ('trigger', 'log_state', 'log_state_forward',
            'BEFORE DELETE OR UPDATE ON eventstream.log_state FOR EACH ROW EXECUTE FUNCTION eventstream.log_state_forward()'),
        ('trigger', 'log_state', 'log_state_truncate',
            'BEFORE TRUNCATE ON eventstream.log_state FOR EACH STATEMENT EXECUTE FUNCTION eventstream.log_state_forward()'),
        ('trigger', 'partition_marks', 'partition_marks_frozen',
            'BEFORE DELETE OR TRUNCATE ON eventstream.partition_marks FOR EACH STATEMENT EXECUTE FUNCTION eventstream.marks_frozen()'),
        ('trigger', 'partition_marks', 'partition_marks_update',
            'BEFORE UPDATE ON eventstream.partition_marks FOR EACH ROW WHEN (((NOT new.removed) OR ((new.partition_id <> old.partition_id) OR (new."position" <> old."position") OR (new.sequence <> old.sequence)))) EXECUTE FUNCTION eventstream.marks_frozen()'),
        ('trigger', 'subscription_skips', 'subscription_skips_frozen',
            'BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.subscription_skips FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only()'),
        ('constraint', 'log_marks', 'log_marks_pkey',
            'PRIMARY KEY ("position")'),
        ('constraint', 'log_state', 'log_state_pkey',
            'PRIMARY KEY (lane)'),
        ('constraint', 'parked_events', 'parked_events_pkey',
            'PRIMARY KEY (subscription, "position")'),
        ('constraint', 'parked_events', 'parked_events_subscription_fkey',
            'FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE'),
        ('constraint', 'partition_marks', 'partition_marks_pkey',
            'PRIMARY KEY (partition_id, "position")'),
        ('constraint', 'subscription_members', 'subscription_members_pkey',
            'PRIMARY KEY (member_id)'),
        ('constraint', 'subscription_shards', 'subscription_shards_pkey',
            'PRIMARY KEY (subscription, shard)'),
        ('constraint', 'subscription_shards', 'subscription_shards_position_range',
            'CHECK (("position" >= 0))'),
        ('constraint', 'subscription_shards', 'subscription_shards_subscription_fkey',
            'FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE'),
        ('constraint', 'subscription_skips', 'subscription_skips_pkey',
            'PRIMARY KEY (subscription, "position")'),
        ('constraint', 'subscription_skips', 'subscription_skips_reason_given',
            'CHECK ((reason ~ ''[^[:space:]]''::text))'),
        ('constraint', 'subscriptions', 'subscriptions_delivery_known',
            'CHECK ((delivery = ANY (ARRAY[''transaction''::text, ''acknowledged''::text])))'),
        ('constraint', 'subscriptions', 'subscriptions_name_valid',
            'CHECK (((octet_length(name) <= 128) AND (name ~ ''^[A-Za-z][A-Za-z0-9_.:/-]*$''::text)))'),
        ('constraint', 'subscriptions', 'subscriptions_pkey',
            'PRIMARY KEY (name)'),
        ('constraint', 'subscriptions', 'subscriptions_shard_count_range',
            'CHECK (((shard_count >= 1) AND (shard_count <= eventstream.partition_count())))')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.audit() RETURNS TABLE (
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
    FROM eventstream.audit_pending AS w
    UNION ALL
    SELECT 'sequences', 'error', NULL::text, NULL::bigint, to_jsonb(q) FROM eventstream.audit_sequences AS q;
END;
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.audit() RETURNS TABLE (
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

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.required_objects() RETURNS TABLE (
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
DROP VIEW eventstream.audit_subscriptions;
DROP FUNCTION eventstream.subscription_lag();
DROP VIEW eventstream.audit_sequences;
DROP VIEW eventstream.audit_log;
