-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.reshard_subscription(p_name text, p_shard_count integer)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
    v_positions jsonb;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    v_is := eventstream.fence_subscription(p_name);
    v_positions := eventstream.partition_checkpoints(p_name);
    UPDATE eventstream.subscriptions AS s SET shard_count = p_shard_count WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, p_shard_count, 0, v_positions, eventstream.remove_shards(p_name));
END;
$function$;

COMMENT ON FUNCTION eventstream.reshard_subscription(text,integer) IS 'Gives a subscription another number of shards. Each partition continues where it was; owners lose their shards, and claim new ones once they are configured with the new number.';

REVOKE ALL ON FUNCTION eventstream.reshard_subscription(text,integer) FROM PUBLIC;
