-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.skip_event(p_subscription text, p_position bigint, p_reason text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    -- What a rebuild stumbles over is skipped for the projection.
    v_name text := (
        SELECT coalesce(s.rebuilds, s.name) FROM eventstream.subscriptions AS s WHERE s.name = p_subscription);
BEGIN
    IF v_name IS NULL THEN
        PERFORM eventstream.refuse_unknown_subscription(p_subscription);
    END IF;
    IF NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = p_position) THEN
        PERFORM eventstream.refuse_value('position', p_position::text, 'that of an event');
    END IF;
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    END IF;
    -- Whoever lays out shards anew, or claims one, holds this row: what is fenced below are the shards that there are then.
    PERFORM FROM eventstream.subscriptions AS s WHERE s.name = v_name FOR UPDATE;
    PERFORM eventstream.fence_shard_of(v_name, p_position);
    PERFORM eventstream.fence_rebuild_of(v_name, p_position);
    INSERT INTO eventstream.subscription_skips (subscription, position, reason)
    VALUES (v_name, p_position, p_reason)
    -- Skipped already: who did it first, and why, stays.
    ON CONFLICT ON CONSTRAINT subscription_skips_pkey DO NOTHING;
    DELETE FROM eventstream.parked_events AS k
    USING eventstream.subscriptions AS s
    WHERE k.subscription = s.name AND v_name IN (s.name, s.rebuilds) AND k.position = p_position;
    PERFORM eventstream.forget_failure(h.subscription, h.shard)
    FROM eventstream.subscription_shards AS h
    JOIN eventstream.subscriptions AS s ON s.name = h.subscription
    WHERE v_name IN (s.name, s.rebuilds) AND h.failing_position = p_position;
END;
$function$;

COMMENT ON FUNCTION eventstream.skip_event(text,bigint,text) IS 'Decides that a subscription shall not handle an event, parked or still to come, and records who did and why. For a projection, its rebuilds leave the event out too.';

REVOKE ALL ON FUNCTION eventstream.skip_event(text,bigint,text) FROM PUBLIC;
