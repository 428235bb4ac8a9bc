-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_checkpoints(p_name text)
 RETURNS jsonb
 LANGUAGE sql
 STABLE
 SET search_path TO ''
AS $function$
    SELECT jsonb_object_agg(p.id, greatest(h.position, coalesce((s.partition_positions ->> p.id::text)::bigint, 0)))
    FROM eventstream.subscriptions AS s
    CROSS JOIN generate_series(0, eventstream.partition_count() - 1) AS p (id)
    JOIN eventstream.subscription_shards AS h ON h.subscription = s.name AND h.shard = p.id % s.shard_count
    WHERE s.name = p_name
$function$;

COMMENT ON FUNCTION eventstream.partition_checkpoints(text) IS 'Where each partition of a subscription is: at the checkpoint of its shard, or further.';

GRANT EXECUTE ON FUNCTION eventstream.partition_checkpoints(text) TO PUBLIC;
