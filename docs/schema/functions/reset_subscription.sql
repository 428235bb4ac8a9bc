-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.reset_subscription(p_name text, p_start jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
    v_stable bigint := eventstream.stable_position();
BEGIN
    IF v_is.delivery = 'projection' THEN
        PERFORM eventstream.refuse_tables(p_name,
            'a reset would apply every event once more to tables that hold it already', 'Rebuild the projection.');
    END IF;
    DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
    UPDATE eventstream.subscriptions AS s SET start = p_start WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, v_is.shard_count, eventstream.start_checkpoint(p_start, v_stable),
        eventstream.start_partitions(p_start, v_stable), eventstream.remove_shards(p_name));
END;
$function$;

COMMENT ON FUNCTION eventstream.reset_subscription(text,jsonb) IS 'Starts a subscription anew from p_start; what it had parked is forgotten. ES016 for a projection, which is rebuilt instead.';

REVOKE ALL ON FUNCTION eventstream.reset_subscription(text,jsonb) FROM PUBLIC;
