-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.record_failure(p_subscription text, p_shard integer, p_epoch bigint, p_position bigint, p_event_id uuid, p_tries integer, p_error text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET failing_position = p_position,
        failing_event = p_event_id,
        failing_since = CASE
            WHEN h.failing_position = p_position THEN h.failing_since
            ELSE clock_timestamp()
        END,
        tries = p_tries,
        last_error = left(p_error, 8192)
    WHERE h.subscription = p_subscription AND h.shard = p_shard AND h.epoch = p_epoch AND h.position < p_position;
END;
$function$;

COMMENT ON FUNCTION eventstream.record_failure(text,integer,bigint,bigint,uuid,integer,text) IS 'Says what the handler of a shard fails on, for audit_subscriptions; without effect for anyone but the owner of p_epoch. It is forgotten once the checkpoint has passed it.';

REVOKE ALL ON FUNCTION eventstream.record_failure(text,integer,bigint,bigint,uuid,integer,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.record_failure(text,integer,bigint,bigint,uuid,integer,text) TO eventstream_subscriber;
