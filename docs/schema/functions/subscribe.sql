-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.subscribe(p_name text, p_shard_count integer, p_delivery text, p_filter jsonb, p_start jsonb)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_is eventstream.subscriptions;
    v_stable bigint;
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
        IF p_shard_count NOT BETWEEN 1 AND eventstream.partition_count() THEN
            PERFORM eventstream.refuse_value('shard count', p_shard_count::text,
                format('from 1 to %s, the store''s partition count', eventstream.partition_count()));
        END IF;
        -- Two processes may create it at once: the second one waits here, and then compares.
        INSERT INTO eventstream.subscriptions AS s (name, shard_count, delivery, filter, start)
        VALUES (p_name, p_shard_count, p_delivery, p_filter, p_start)
        ON CONFLICT ON CONSTRAINT subscriptions_pkey DO NOTHING;
        IF FOUND THEN
            v_stable := eventstream.stable_position();
            -- The first epoch is the transaction's number, so that an epoch from before a subscription was deleted
            -- never comes again.
            PERFORM eventstream.lay_out_shards(p_name, p_shard_count,
                eventstream.start_checkpoint(p_start, v_stable), eventstream.start_partitions(p_start, v_stable),
                pg_current_xact_id()::text::bigint);
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
            'eventstream.reshard_subscription(), or give it another name.');
    END IF;
    RETURN false;
END;
$function$;

COMMENT ON FUNCTION eventstream.subscribe(text,integer,text,jsonb,jsonb) IS 'Creates a subscription (true), or finds one as described (false); ES011 if the one of that name differs. p_start counts only at creation.';

REVOKE ALL ON FUNCTION eventstream.subscribe(text,integer,text,jsonb,jsonb) FROM PUBLIC;
