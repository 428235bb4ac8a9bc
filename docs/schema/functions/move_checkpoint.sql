-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.move_checkpoint(p_subscription text, p_shard integer, p_epoch bigint, p_position bigint, p_events bigint, p_token text DEFAULT NULL::text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_is eventstream.subscription_shards;
    v_member bigint;
    v_failing bigint;
    v_last bigint;
BEGIN
    -- The token was set where the handler's transaction began. Another value means another transaction: the handler
    -- ended that one.
    IF p_token IS NOT NULL AND p_token IS DISTINCT FROM current_setting('eventstream.batch', true) THEN
        PERFORM eventstream.refuse(
            'ES014',
            format('the handler of subscription %L ended the transaction that it was given', p_subscription),
            jsonb_build_object('subscription', p_subscription, 'shard', p_shard),
            'Leave COMMIT and ROLLBACK to the subscription: return nil to commit, an error to roll back.');
    END IF;
    UPDATE eventstream.subscription_shards AS h
    SET position = p_position, events = h.events + p_events, updated_at = clock_timestamp()
    WHERE h.subscription = p_subscription AND h.shard = p_shard AND h.epoch = p_epoch AND h.position <= p_position
    RETURNING h.member_id, h.failing_position INTO v_member, v_failing;
    IF FOUND THEN
        -- What it failed on is handled, parked or skipped. Rare, so that the usual case stays one plain update.
        IF v_failing <= p_position THEN
            PERFORM eventstream.forget_failure(p_subscription, p_shard);
        END IF;
    ELSE
        SELECT h.* INTO v_is
        FROM eventstream.subscription_shards AS h
        WHERE h.subscription = p_subscription AND h.shard = p_shard;
        PERFORM eventstream.refuse(
            'ES012',
            format(
                'shard %s of subscription %L is owned in epoch %s and at position %s; '
                'this was epoch %s, moving it to %s',
                p_shard, p_subscription, coalesce(v_is.epoch::text, 'none'), coalesce(v_is.position::text, 'none'),
                p_epoch, p_position),
            jsonb_build_object('subscription', p_subscription, 'shard', p_shard, 'epoch', p_epoch,
                'current_epoch', v_is.epoch, 'position', v_is.position, 'new_position', p_position),
            'Another process owns the shard by now: drop the work, it is done there.');
    END IF;
    -- What the owner knows of the log, it read from the server that has its lock. After a failover or a restore, the
    -- epoch may be the same and the log another.
    IF pg_try_advisory_xact_lock_shared(eventstream.member_key(v_member)) THEN
        PERFORM eventstream.refuse(
            'ES012',
            format('the owner of shard %s of subscription %L, member %s, is not connected to this server',
                p_shard, p_subscription, v_member),
            jsonb_build_object('subscription', p_subscription, 'shard', p_shard, 'epoch', p_epoch,
                'current_epoch', p_epoch, 'member', v_member, 'new_position', p_position),
            'Join again, and go on from the checkpoint: the log may have gone back.');
    END IF;
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    IF p_position > v_last THEN
        PERFORM eventstream.refuse_beyond_end('position', p_position, v_last);
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.move_checkpoint(text,integer,bigint,bigint,bigint,text) IS 'Moves a shard''s checkpoint forward for its owner of p_epoch, whose member''s lock is held on this server; ES012 for anyone else, ES013 beyond the end of the log, ES014 if the transaction is not the one that p_token was set in.';

REVOKE ALL ON FUNCTION eventstream.move_checkpoint(text,integer,bigint,bigint,bigint,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.move_checkpoint(text,integer,bigint,bigint,bigint,text) TO eventstream_subscriber;
