-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.subscribe(p_name text, p_shard_count integer, p_delivery text, p_filter jsonb, p_start jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
    v_difference text;
BEGIN
    -- An existing subscription could be found without a write, but its checkpoints could not move.
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
            MESSAGE = format('subscription %L cannot run in a read-only transaction', p_name),
            HINT = 'Run it on the primary.';
    END IF;
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name;
    IF NOT FOUND THEN
        -- A projection comes with its tables: create_projection() makes both.
        IF p_delivery = 'projection' THEN
            PERFORM eventstream.refuse_unknown_subscription(p_name);
        END IF;
        IF eventstream.create_subscription(p_name, p_shard_count, p_delivery, p_filter, p_start) THEN
            RETURN true;
        END IF;
        -- Another process was first, and has committed.
        SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name;
    END IF;
    v_difference := CASE
        WHEN v_is.shard_count <> p_shard_count THEN format('shard count %s, now %s', v_is.shard_count, p_shard_count)
        WHEN v_is.delivery <> p_delivery THEN format('delivery %s, now %s', v_is.delivery, p_delivery)
        WHEN v_is.filter <> p_filter THEN format('filter %s, now %s', v_is.filter, p_filter)
    END;
    IF v_difference IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L was created with %s', p_name, v_difference),
            jsonb_build_object('subscription', p_name, 'difference', v_difference,
                'is', jsonb_build_object(
                    'shard_count', v_is.shard_count, 'delivery', v_is.delivery, 'filter', v_is.filter),
                'wanted', jsonb_build_object(
                    'shard_count', p_shard_count, 'delivery', p_delivery, 'filter', p_filter)),
            'Use the configuration that it was created with, change its shards with '
            'eventstream.reshard_subscription(), or give it another name.'
            || CASE WHEN v_is.delivery = 'projection' THEN ' A projection takes over another filter when it is rebuilt.'
                ELSE '' END);
    END IF;
    RETURN false;
END;
$function$;

COMMENT ON FUNCTION eventstream.subscribe(text,integer,text,jsonb,jsonb) IS 'Creates a subscription (true), or finds one as described (false); ES011 if the one of that name differs. p_start counts only at creation. A projection is created by create_projection().';

REVOKE ALL ON FUNCTION eventstream.subscribe(text,integer,text,jsonb,jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.subscribe(text,integer,text,jsonb,jsonb) TO eventstream_subscriber;
