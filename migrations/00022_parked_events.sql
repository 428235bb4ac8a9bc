-- +goose Up
-- Putting events aside, and deciding about them by hand.
-- Locks: none at install. At run time rows of parked_events.
-- +goose StatementBegin

CREATE FUNCTION eventstream.park_events(
    p_subscription text,
    p_positions bigint[],
    p_tries integer,
    p_error text
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO eventstream.parked_events (subscription, position, stream_id, version, tries, error)
    SELECT p_subscription, e.position, e.stream_id, e.version, p_tries, p_error
    FROM eventstream.events AS e
    WHERE e.position = ANY (p_positions)
    -- Parked already, and tried again.
    ON CONFLICT ON CONSTRAINT parked_events_pkey DO UPDATE
    SET tries = parked_events.tries + EXCLUDED.tries, error = EXCLUDED.error;
END;
$$;

COMMENT ON FUNCTION eventstream.park_events IS
    'Puts events aside for a subscription; for one that is parked already, adds the tries.';

-- An owner that may be handling the event right now loses the shard; whoever claims it next knows of the skip.
CREATE FUNCTION eventstream.fence_shard_of(p_name text, p_position bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET epoch = h.epoch + 1, member_id = NULL
    FROM eventstream.events AS e
    JOIN eventstream.subscriptions AS s ON s.name = p_name
    WHERE e.position = p_position
        AND h.subscription = p_name AND h.shard = e.partition_id % s.shard_count AND h.position < p_position;
END;
$$;

COMMENT ON FUNCTION eventstream.fence_shard_of IS
    'Takes the shard of an event from its owner, unless it is past the event.';

-- A rebuild heeds what is skipped for its projection. One that runs and is past the event has applied it to the new
-- tables, where a skip would not undo it. One that was interrupted does not go on.
CREATE FUNCTION eventstream.fence_rebuild_of(p_name text, p_position bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_rebuild text := (SELECT s.name FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name);
BEGIN
    IF v_rebuild IS NULL OR NOT eventstream.is_rebuilding(p_name) THEN
        RETURN;
    END IF;
    PERFORM eventstream.fence_shard_of(v_rebuild, p_position);
    IF EXISTS (
        SELECT FROM eventstream.events AS e
        JOIN eventstream.subscriptions AS s ON s.name = v_rebuild
        JOIN eventstream.subscription_shards AS h ON h.subscription = s.name AND h.shard = e.partition_id % s.shard_count
        WHERE e.position = p_position AND h.position >= p_position
            AND NOT EXISTS (
                SELECT FROM eventstream.parked_events AS k WHERE k.subscription = v_rebuild AND k.position = p_position)
            AND NOT EXISTS (
                SELECT FROM eventstream.subscription_skips AS k WHERE k.subscription = p_name AND k.position = p_position)
    ) THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('its rebuild has applied the event at position %s, and a skip would not undo that', p_position),
            'Skip it once the rebuild has ended, if that is still needed, and rebuild once more.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.fence_rebuild_of IS
    'Makes a rebuild that runs heed a skip; ES016 if it is past the event.';

CREATE FUNCTION eventstream.skip_event(p_subscription text, p_position bigint, p_reason text) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.skip_event IS
    'Decides that a subscription shall not handle an event, parked or still to come, and records who did and why. For '
    'a projection, its rebuilds leave the event out too.';

REVOKE EXECUTE ON FUNCTION
    eventstream.park_events, eventstream.fence_shard_of, eventstream.fence_rebuild_of, eventstream.skip_event
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.skip_event, eventstream.fence_rebuild_of, eventstream.fence_shard_of, eventstream.park_events;
