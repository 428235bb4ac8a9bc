-- +goose Up
-- Watching and auditing the log: how far it is stable and who holds it back, whether sequence numbers are right, how
-- far subscriptions are.
-- Locks: none.
-- +goose StatementBegin

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
    -- The stable position first: it is then never above the last one.
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
    'How far the log is stable, and behind whom: a row for each transaction that holds positions, the one that holds '
    'the lowest first, or a single row without a holder. pid is NULL for a prepared transaction.';

-- Marks are sound if there are as many events between one and the next as sequence numbers, those removed included; in
-- the whole log, positions must also follow each other without a hole after a mark.
CREATE VIEW eventstream.audit_sequences AS
SELECT
    NULL::integer AS partition_id,
    m.position,
    m.sequence,
    m.next_position,
    m.next_sequence,
    c.events + r.events AS events,
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
    SELECT
        k.partition_id,
        k.position,
        k.sequence,
        lead(k.position) OVER w AS next_position,
        lead(k.sequence) OVER w AS next_sequence
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
    'Marks whose sequence numbers do not fit the events; partition_id is NULL for the whole log. Empty when nothing is '
    'wrong.';

-- A function for the sake of its settings: compiling the query takes longer than running it, and every look at events
-- is one at an index. Backlogs are differences of sequence numbers, which marks give: they cost the same however large
-- they are.
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
    last_error text,
    failing_position bigint,
    failing_event uuid,
    tries integer,
    failing_since timestamptz,
    epoch bigint,
    updated_at timestamptz
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    WITH log_end AS MATERIALIZED (
        SELECT g.stable_position, eventstream.sequence_at(g.stable_position) AS sequence
        FROM (SELECT eventstream.stable_position() AS stable_position OFFSET 0) AS g
    ), partition_ends AS MATERIALIZED (
        -- Once for all: what has no marks yet is counted.
        SELECT p.id, eventstream.partition_sequence_at(p.id, g.stable_position) AS sequence
        FROM log_end AS g
        CROSS JOIN generate_series(0, eventstream.partition_count() - 1) AS p (id)
        WHERE EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.shard_count > 1)
    )
    SELECT
        s.name,
        h.shard,
        s.shard_count,
        h.position,
        g.stable_position,
        CASE WHEN s.shard_count = 1 THEN greatest(g.sequence - eventstream.sequence_at(h.position), 0) ELSE b.events END AS lag_events,
        coalesce(greatest(extract(epoch FROM clock_timestamp() - b.since), 0), 0)::double precision AS lag_seconds,
        h.events,
        k.parked,
        CASE
            WHEN s.paused OR (s.delivery = 'projection' AND s.tables_id IS NULL) THEN 'paused'
            WHEN h.member_id IS NULL THEN 'free'
            WHEN v.member_id IS NULL THEN 'owner is gone'
            ELSE 'owned'
        END AS state,
        h.member_id,
        m.application,
        m.lease_until,
        h.last_error,
        h.failing_position,
        h.failing_event,
        h.tries,
        h.failing_since,
        h.epoch,
        h.updated_at
    FROM log_end AS g
    CROSS JOIN eventstream.subscriptions AS s
    JOIN eventstream.subscription_shards AS h ON h.subscription = s.name
    LEFT JOIN eventstream.subscription_members AS m ON m.member_id = h.member_id
    LEFT JOIN eventstream.live_members() AS v ON v.member_id = h.member_id
    CROSS JOIN LATERAL (
        SELECT
            sum(CASE WHEN s.shard_count = 1 THEN 0
                ELSE greatest(d.sequence - eventstream.partition_sequence_at(p.id, f.position), 0) END)::bigint AS events,
            min(n.recorded_at) AS since
        FROM generate_series(h.shard, eventstream.partition_count() - 1, s.shard_count) AS p (id)
        CROSS JOIN LATERAL (SELECT greatest(h.position, coalesce((s.partition_positions ->> p.id::text)::bigint, 0)) AS position) AS f
        LEFT JOIN partition_ends AS d ON d.id = p.id
        LEFT JOIN LATERAL (
            -- As pairs, which only the index on (partition_id, position) serves: with plain conditions the planner may
            -- walk the log of all partitions, to its end for one that has nothing new.
            SELECT e.recorded_at
            FROM eventstream.events AS e
            WHERE (e.partition_id, e.position) > (p.id, f.position)
                AND (e.partition_id, e.position) <= (p.id, g.stable_position)
            ORDER BY e.partition_id, e.position LIMIT 1
        ) AS n ON true
    ) AS b
    CROSS JOIN LATERAL (
        SELECT count(*) AS parked
        FROM eventstream.parked_events AS x
        JOIN eventstream.events AS e ON e.position = x.position
        WHERE x.subscription = s.name AND e.partition_id % s.shard_count = h.shard
    ) AS k
    -- A rebuild begins far behind; audit_projections says how far it is.
    WHERE s.rebuilds IS NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.subscription_lag IS 'The rows of audit_subscriptions.';

CREATE VIEW eventstream.audit_subscriptions AS
SELECT * FROM eventstream.subscription_lag();

COMMENT ON VIEW eventstream.audit_subscriptions IS
    'How far each shard of each subscription is: events of its partitions not handled yet, whatever its filter, the '
    'age of the oldest of them in seconds, what is parked, who owns it, and what its handler fails on.';
-- +goose StatementEnd

-- +goose Down
DROP VIEW eventstream.audit_subscriptions;
DROP FUNCTION eventstream.subscription_lag;
DROP VIEW eventstream.audit_sequences;
DROP VIEW eventstream.audit_log;
