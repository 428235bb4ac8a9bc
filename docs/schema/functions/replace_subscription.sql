-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.replace_subscription(p_name text, p_by text, p_shard_count integer DEFAULT NULL::integer)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
    v_by eventstream.subscriptions := eventstream.fence_subscription(p_by);
    v_shard_count integer := coalesce(p_shard_count, v_is.shard_count);
    v_positions jsonb := eventstream.partition_checkpoints(p_by);
    v_epoch bigint := greatest(eventstream.remove_shards(p_name), eventstream.remove_shards(p_by));
BEGIN
    IF v_shard_count NOT BETWEEN 1 AND eventstream.partition_count() THEN
        PERFORM eventstream.refuse_value('shard count', v_shard_count::text,
            format('from 1 to %s, the store''s partition count', eventstream.partition_count()));
    END IF;
    IF v_is.delivery = 'projection' THEN
        PERFORM eventstream.refuse_foreign_tables(p_name, p_by, v_by.rebuilds, v_by.tables_id);
    ELSIF v_is.filter <> v_by.filter OR v_is.delivery <> v_by.delivery THEN
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
    UPDATE eventstream.subscriptions AS s
    SET shard_count = v_shard_count,
        filter = v_by.filter,
        tables_id = v_by.tables_id
    WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, v_shard_count, 0, v_positions, v_epoch);
END;
$function$;

COMMENT ON FUNCTION eventstream.replace_subscription(text,text,integer) IS 'Lets p_name continue where p_by is, with p_shard_count shards or as many as it has, and removes p_by. A projection takes over the filter and the tables of its rebuild, which are in place by then.';

REVOKE ALL ON FUNCTION eventstream.replace_subscription(text,text,integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.replace_subscription(text,text,integer) TO eventstream_subscriber;
