-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.subscription_lag()
 RETURNS TABLE(subscription text, shard integer, shard_count integer, "position" bigint, stable_position bigint, lag_events bigint, lag_seconds double precision, events bigint, parked bigint, state text, member_id bigint, application text, lease_until timestamp with time zone, last_error text, failing_position bigint, failing_event uuid, tries integer, failing_since timestamp with time zone, epoch bigint, updated_at timestamp with time zone)
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.subscription_lag() IS 'The rows of audit_subscriptions.';

GRANT EXECUTE ON FUNCTION eventstream.subscription_lag() TO PUBLIC;
