-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.replace_subscription(p_name text, p_by text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
    v_by eventstream.subscriptions := eventstream.fence_subscription(p_by);
    v_positions jsonb := eventstream.partition_checkpoints(p_by);
    v_epoch bigint := greatest(eventstream.remove_shards(p_name), eventstream.remove_shards(p_by));
BEGIN
    IF v_is.filter <> v_by.filter OR v_is.delivery <> v_by.delivery THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L was created with filter %s and delivery %s, %L with %s and %s',
                p_name, v_is.filter, v_is.delivery, p_by, v_by.filter, v_by.delivery),
            jsonb_build_object('subscription', p_name,
                'difference', format('filter %s and delivery %s, now %s and %s',
                    v_is.filter, v_is.delivery, v_by.filter, v_by.delivery)),
            'Only a subscription that differs in its shards alone can take the place of another.');
    END IF;
    DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
    UPDATE eventstream.parked_events AS k SET subscription = p_name WHERE k.subscription = p_by;
    DELETE FROM eventstream.subscriptions AS s WHERE s.name = p_by;
    UPDATE eventstream.subscriptions AS s SET paused = false WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, v_is.shard_count, 0, v_positions, v_epoch);
END;
$function$;

COMMENT ON FUNCTION eventstream.replace_subscription(text,text) IS 'Lets p_name continue where p_by is, with the number of shards that p_name has, and removes p_by.';

REVOKE ALL ON FUNCTION eventstream.replace_subscription(text,text) FROM PUBLIC;
