-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.create_subscription(p_name text, p_shard_count integer, p_delivery text, p_filter jsonb, p_start jsonb, p_tables_id uuid DEFAULT NULL::uuid, p_rebuilds text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_stable bigint;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    -- Two processes may create it at once: the second one waits here, and is told that it was not the first.
    INSERT INTO eventstream.subscriptions AS s (name, shard_count, delivery, filter, start, tables_id, rebuilds)
    VALUES (p_name, p_shard_count, p_delivery, p_filter, p_start, p_tables_id, p_rebuilds)
    ON CONFLICT ON CONSTRAINT subscriptions_pkey DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_stable := eventstream.stable_position();
    -- The first epoch is the transaction's number, so that an epoch from before a subscription was deleted never
    -- comes again.
    PERFORM eventstream.lay_out_shards(p_name, p_shard_count,
        eventstream.start_checkpoint(p_start, v_stable), eventstream.start_partitions(p_start, v_stable),
        pg_current_xact_id()::text::bigint);
    RETURN true;
END;
$function$;

COMMENT ON FUNCTION eventstream.create_subscription(text,integer,text,jsonb,jsonb,uuid,text) IS 'Creates a subscription with its shards (true), unless there is one of that name.';

REVOKE ALL ON FUNCTION eventstream.create_subscription(text,integer,text,jsonb,jsonb,uuid,text) FROM PUBLIC;
