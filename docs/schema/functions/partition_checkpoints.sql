-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_checkpoints(p_name text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT jsonb_object_agg(p.id, greatest(h.position, coalesce((s.partition_positions ->> p.id::text)::bigint, 0)))
    FROM eventstream.subscriptions AS s
    CROSS JOIN generate_series(0, eventstream.partition_count() - 1) AS p (id)
    JOIN eventstream.subscription_shards AS h ON h.subscription = s.name AND h.shard = p.id % s.shard_count
    WHERE s.name = p_name
$function$;

COMMENT ON FUNCTION eventstream.partition_checkpoints(text) IS 'Position of each partition of a subscription: the checkpoint of its shard, or one ahead of it.';

REVOKE ALL ON FUNCTION eventstream.partition_checkpoints(text) FROM PUBLIC;
