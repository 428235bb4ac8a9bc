-- +goose Up
-- Audit: whether the store keeps its promises, in plain SQL. Each view lists what is wrong and is empty when nothing
-- is. Everything here reads whole tables, set by set, and locks nothing.
-- Locks: none.

CREATE VIEW eventstream.audit_gaps AS
SELECT
    e.stream_id,
    e.previous_version + 1 AS first_missing,
    e.version - 1 AS last_missing,
    e.version - e.previous_version - 1 AS missing
FROM (
    SELECT
        n.stream_id,
        n.version,
        lag(n.version, 1, 0::bigint) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS previous_version
    FROM eventstream.events AS n
) AS e
WHERE e.version <> e.previous_version + 1;

COMMENT ON VIEW eventstream.audit_gaps IS
    'Versions missing between events of a stream, or before its first. Empty when nothing is wrong. A missing tail '
    'shows in audit_sequences.';

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
        e.version,
        e.position,
        lag(e.version) OVER w AS previous_version,
        lag(e.position) OVER w AS previous_position
    FROM eventstream.events AS e
    WINDOW w AS (PARTITION BY e.stream_id ORDER BY e.version)
) AS o
WHERE o.position <= o.previous_position
    OR o.position < 1
    OR o.position > (SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END FROM eventstream.events_position_seq AS q);

COMMENT ON VIEW eventstream.audit_order IS
    'Events whose position does not rise with the version, or that the sequence never gave: it is behind them. Empty '
    'when nothing is wrong.';

CREATE VIEW eventstream.audit_tenants AS
SELECT e.stream_id, e.version, e.tenant_id, e.stream_tenant, 'events' AS place
FROM (
    SELECT n.stream_id, n.version, n.tenant_id,
        first_value(n.tenant_id) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS stream_tenant
    FROM eventstream.events AS n
) AS e
WHERE e.tenant_id <> e.stream_tenant
UNION ALL
SELECT p.stream_id, p.version, p.tenant_id, s.tenant_id, 'pending_events'
FROM eventstream.pending_events AS p
JOIN eventstream.streams AS s ON s.stream_id = p.stream_id
WHERE p.tenant_id <> s.tenant_id;

COMMENT ON VIEW eventstream.audit_tenants IS
    'Events of another tenant than their stream''s first event. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_partitions AS
SELECT e.stream_id, e.version, e.partition_id, e.stream_partition, 'event in another partition than its stream' AS problem
FROM (
    SELECT n.stream_id, n.version, n.partition_id,
        first_value(n.partition_id) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS stream_partition
    FROM eventstream.events AS n
) AS e
WHERE e.partition_id <> e.stream_partition
UNION ALL
SELECT p.stream_id, p.version, p.partition_id, s.partition_id, 'pending event in another partition than its stream'
FROM eventstream.pending_events AS p
JOIN eventstream.streams AS s ON s.stream_id = p.stream_id
WHERE p.partition_id <> s.partition_id
UNION ALL
SELECT e.stream_id, e.version, e.partition_id, e.partition_id, 'no such partition in this store'
FROM eventstream.events AS e
WHERE e.version = 1 AND e.partition_id NOT BETWEEN 0 AND (SELECT t.partition_count - 1 FROM eventstream.store AS t)
UNION ALL
SELECT NULL, NULL, NULL, NULL, format('partition_count() is %s, the store has %s',
    eventstream.partition_count(), coalesce(t.partition_count::text, 'no row'))
FROM (SELECT 1) AS one
LEFT JOIN eventstream.store AS t ON true
WHERE t.partition_count IS DISTINCT FROM eventstream.partition_count();

COMMENT ON VIEW eventstream.audit_partitions IS
    'Events in another partition than their stream, streams in none of the store''s, and a changed count. Empty when '
    'nothing is wrong.';

CREATE VIEW eventstream.audit_values AS
SELECT
    e.stream_id,
    e.version,
    CASE
        WHEN NOT eventstream.is_name(e.stream_id) THEN 'stream_id'
        WHEN NOT eventstream.is_tenant_id(e.tenant_id) THEN 'tenant_id'
        WHEN NOT eventstream.is_name(e.type) THEN 'type'
        WHEN jsonb_typeof(e.metadata) <> 'object' THEN 'metadata'
        WHEN NOT eventstream.is_time(e.occurred_at) THEN 'occurred_at'
        WHEN e.event_id = '00000000-0000-0000-0000-000000000000' THEN 'event_id'
        WHEN octet_length(e.data) > 128000000 THEN 'data'
        WHEN NOT eventstream.is_json(e.payload) THEN 'payload'
        WHEN NOT eventstream.is_json(e.metadata) THEN 'metadata'
        ELSE 'recorded_at'
    END AS field
FROM eventstream.events AS e
WHERE NOT (
    eventstream.is_name(e.stream_id) AND eventstream.is_tenant_id(e.tenant_id) AND eventstream.is_name(e.type)
    AND eventstream.is_content(e.event_id, e.payload, e.data, e.metadata)
    AND eventstream.is_time(e.occurred_at) AND eventstream.is_time(e.recorded_at)
);

COMMENT ON VIEW eventstream.audit_values IS
    'Events with a value that the gate would refuse. Empty when nothing is wrong.';

CREATE VIEW eventstream.audit_pending AS
SELECT
    p.stream_id,
    coalesce(l.version, 0) + 1 AS first_missing,
    p.waiting,
    p.last_version - coalesce(l.version, 0) - p.waiting AS missing,
    p.since,
    CASE
        WHEN p.first_version <= l.version THEN 'waits for a version that exists: call advance_watermark'
        WHEN p.first_version = coalesce(l.version, 0) + 1 THEN 'waits for nothing: call advance_watermark'
        WHEN p.used THEN 'its event id is used by an event elsewhere: call advance_watermark'
        ELSE 'hole'
    END AS problem
FROM (
    SELECT
        w.stream_id,
        count(*) AS waiting,
        min(w.version) AS first_version,
        max(w.version) AS last_version,
        min(w.received_at) AS since,
        bool_or((SELECT true FROM eventstream.events AS e WHERE e.event_id = w.event_id LIMIT 1) IS NOT NULL) AS used
    FROM eventstream.pending_events AS w
    GROUP BY w.stream_id
) AS p
LEFT JOIN LATERAL (
    SELECT e.version FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id ORDER BY e.version DESC LIMIT 1
) AS l ON true;

COMMENT ON VIEW eventstream.audit_pending IS
    'Streams with a hole: the first missing version, how many events wait, how many are missing, and since when.';

-- +goose Down
DROP VIEW eventstream.audit_pending;
DROP VIEW eventstream.audit_values;
DROP VIEW eventstream.audit_partitions;
DROP VIEW eventstream.audit_tenants;
DROP VIEW eventstream.audit_order;
DROP VIEW eventstream.audit_gaps;
