-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.skip_event(p_subscription text, p_position bigint, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.name = p_subscription) THEN
        PERFORM eventstream.refuse_unknown_subscription(p_subscription);
    END IF;
    IF NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = p_position) THEN
        PERFORM eventstream.refuse_value('position', p_position::text, 'that of an event');
    END IF;
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    END IF;
    INSERT INTO eventstream.subscription_skips (subscription, position, reason)
    VALUES (p_subscription, p_position, p_reason)
    -- Skipped already: who did it first, and why, stays.
    ON CONFLICT ON CONSTRAINT subscription_skips_pkey DO NOTHING;
    DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_subscription AND k.position = p_position;
    -- An owner that may be handling it right now loses the shard; whoever claims it next knows of the skip.
    UPDATE eventstream.subscription_shards AS h
    SET epoch = h.epoch + 1, member_id = NULL
    FROM eventstream.events AS e
    JOIN eventstream.subscriptions AS s ON s.name = p_subscription
    WHERE e.position = p_position
        AND h.subscription = p_subscription AND h.shard = e.partition_id % s.shard_count AND h.position < p_position;
    PERFORM eventstream.forget_failure(h.subscription, h.shard)
    FROM eventstream.subscription_shards AS h
    WHERE h.subscription = p_subscription AND h.failing_position = p_position;
END;
$function$;

COMMENT ON FUNCTION eventstream.skip_event(text,bigint,text) IS 'Decides that a subscription shall not handle an event, parked or still to come, and records who did and why.';

REVOKE ALL ON FUNCTION eventstream.skip_event(text,bigint,text) FROM PUBLIC;
