-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.move_idle_checkpoints(p_subscriptions text[], p_shards integer[], p_epochs bigint[], p_positions bigint[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_reached bigint;
BEGIN
    WITH due AS (
        SELECT h.subscription, h.shard, u.position, h.failing_position <= u.position AS passed
        FROM unnest(p_subscriptions, p_shards, p_epochs, p_positions) AS u (subscription, shard, epoch, position)
        JOIN eventstream.subscription_shards AS h
            ON h.subscription = u.subscription AND h.shard = u.shard AND h.epoch = u.epoch
        WHERE h.position < u.position
            AND u.position <= pg_sequence_last_value('eventstream.events_position_seq'::regclass)
            -- As in move_checkpoint().
            AND pg_try_advisory_xact_lock_shared(eventstream.member_key(h.member_id)) IS NOT TRUE
        -- Whoever holds one of them for long (a handler's transaction, a reshard) must not hold up all the others.
        FOR NO KEY UPDATE OF h SKIP LOCKED
    )
    UPDATE eventstream.subscription_shards AS h
    SET position = d.position,
        updated_at = clock_timestamp(),
        -- What one failed on was skipped by hand.
        failing_position = CASE WHEN d.passed THEN NULL ELSE h.failing_position END,
        failing_event = CASE WHEN d.passed THEN NULL ELSE h.failing_event END,
        failing_since = CASE WHEN d.passed THEN NULL ELSE h.failing_since END,
        tries = CASE WHEN d.passed THEN NULL ELSE h.tries END,
        last_error = CASE WHEN d.passed THEN NULL ELSE h.last_error END
    FROM due AS d
    WHERE h.subscription = d.subscription AND h.shard = d.shard;
    SELECT count(*) INTO v_reached
    FROM unnest(p_subscriptions, p_shards, p_epochs, p_positions) AS u (subscription, shard, epoch, position)
    JOIN eventstream.subscription_shards AS h
        ON h.subscription = u.subscription AND h.shard = u.shard AND h.epoch = u.epoch
    WHERE h.position >= u.position;
    RETURN v_reached;
END;
$function$;

COMMENT ON FUNCTION eventstream.move_idle_checkpoints(text[],integer[],bigint[],bigint[]) IS 'Moves checkpoints past events that were not for their subscription; a shard that has another owner, or is locked, stays. Returns how many have got there.';

REVOKE ALL ON FUNCTION eventstream.move_idle_checkpoints(text[],integer[],bigint[],bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.move_idle_checkpoints(text[],integer[],bigint[],bigint[]) TO eventstream_subscriber;
