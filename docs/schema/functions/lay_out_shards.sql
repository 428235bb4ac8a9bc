-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lay_out_shards(p_name text, p_shard_count integer, p_checkpoint bigint, p_positions jsonb, p_epoch bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_apart jsonb;
BEGIN
    INSERT INTO eventstream.subscription_shards (subscription, shard, position, epoch)
    SELECT
        p_name,
        p.id % p_shard_count,
        min(greatest(p_checkpoint, coalesce((p_positions ->> p.id::text)::bigint, 0))),
        p_epoch
    FROM generate_series(0, eventstream.partition_count() - 1) AS p (id)
    GROUP BY p.id % p_shard_count
    ORDER BY p.id % p_shard_count;
    SELECT jsonb_object_agg(p.key, p.value) INTO v_apart
    FROM jsonb_each_text(p_positions) AS p
    JOIN eventstream.subscription_shards AS s ON s.subscription = p_name AND s.shard = p.key::integer % p_shard_count
    WHERE p.value::bigint > s.position;
    UPDATE eventstream.subscriptions AS s
    SET partition_positions = coalesce(
        (SELECT jsonb_object_agg(a.key, a.value::bigint) FROM jsonb_each_text(v_apart) AS a), '{}')
    WHERE s.name = p_name;
END;
$function$;

COMMENT ON FUNCTION eventstream.lay_out_shards(text,integer,bigint,jsonb,bigint) IS 'Makes the shards of a subscription, given the position of each partition; those not given are at p_checkpoint.';

REVOKE ALL ON FUNCTION eventstream.lay_out_shards(text,integer,bigint,jsonb,bigint) FROM PUBLIC;
