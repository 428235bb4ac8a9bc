-- +goose Up
-- Who owns which shard, and moving its checkpoint. An owner is known by the epoch that it claimed the shard in: whoever
-- claims it later raises the epoch, and the earlier owner's checkpoint no longer moves, however late it wakes up.
-- Locks: none at install. At run time rows of subscription_shards; a claim waits for no other claim.
-- +goose StatementBegin

-- A process that runs subscriptions holds the lock of this key ('EM', then the member id) in an open transaction. It ends
-- with the connection, so that the death of the process is seen at once; one that hangs is found by its lease.
CREATE FUNCTION eventstream.member_key(p_member_id bigint) RETURNS bigint
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN 4993647561823748096 | (p_member_id & 281474976710655);

COMMENT ON FUNCTION eventstream.member_key IS
    'Key of the advisory lock that a process holds, for a transaction, while it runs subscriptions.';

CREATE FUNCTION eventstream.live_members() RETURNS TABLE (
    member_id bigint,
    subscriptions text[]
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT m.member_id, m.subscriptions
    FROM eventstream.subscription_members AS m
    WHERE m.lease_until > clock_timestamp()
        -- A lease from before the clock was set back by more than its length says nothing: who lives reports again.
        AND m.reported_at - clock_timestamp() < m.lease_until - m.reported_at
        AND eventstream.member_key(m.member_id) IN (
            SELECT (k.classid::bigint << 32) | k.objid::bigint
            FROM pg_catalog.pg_locks AS k
            -- Members hold theirs exclusively; who asks whether one does takes it shared, for a moment.
            WHERE k.locktype = 'advisory' AND k.granted AND k.mode = 'ExclusiveLock' AND k.objsubid = 1
                AND k.classid::bigint >> 16 = 17741
                AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()));
END;
$$;

COMMENT ON FUNCTION eventstream.live_members IS
    'Processes that run subscriptions, without those that have died or hang.';

-- Each process gets the same number of shards, and the first ones one more. Who comes first differs from one
-- subscription to the next, so that many subscriptions of a single shard spread over all processes. One call answers
-- for all subscriptions of a process: each process asks every second.
CREATE FUNCTION eventstream.fair_shares(
    p_member_id bigint,
    p_live bigint[],
    p_subscriptions text[]
) RETURNS TABLE (
    name text,
    share integer,
    live bigint[]
)
LANGUAGE plpgsql
STABLE
ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT
        s.name::text,
        (s.shard_count / count(*) + CASE
            WHEN count(*) FILTER (
                WHERE m.rank < (hashint8extended(p_member_id, hashtextextended(s.name, 0)), p_member_id)
            ) < s.shard_count % count(*) THEN 1
            ELSE 0
        END)::integer,
        array_agg(m.member_id)
    FROM (
        SELECT
            u.name,
            n.member_id,
            (hashint8extended(n.member_id, hashtextextended(u.name, 0)), n.member_id) AS rank
        FROM eventstream.subscription_members AS n
        CROSS JOIN unnest(n.subscriptions) AS u (name)
        WHERE n.member_id = ANY (p_live)
    ) AS m
    JOIN eventstream.subscriptions AS s
        ON s.name = m.name AND NOT s.paused AND (s.delivery <> 'projection' OR s.tables_id IS NOT NULL)
    WHERE m.name = ANY (p_subscriptions)
    GROUP BY s.name, s.shard_count;
END;
$$;

COMMENT ON FUNCTION eventstream.fair_shares IS
    'How many shards of each subscription a process may own, and which of the live processes run it; no row for one '
    'that is paused, or a projection without complete tables.';

CREATE FUNCTION eventstream.claim_shards(
    p_member_id bigint,
    p_application text,
    p_subscriptions text[],
    p_lease interval
) RETURNS TABLE (
    claimed_subscription text,
    claimed_shard integer,
    claimed_position bigint,
    claimed_epoch bigint,
    share integer
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Compiling these queries takes longer than running them.
SET jit = off
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_live bigint[];
    r record;
BEGIN
    INSERT INTO eventstream.subscription_members AS m (member_id, application, subscriptions, reported_at, lease_until)
    VALUES (p_member_id, p_application, p_subscriptions, v_now, v_now + p_lease)
    -- A member that is known already reports again.
    ON CONFLICT ON CONSTRAINT subscription_members_pkey DO UPDATE
    SET subscriptions = EXCLUDED.subscriptions, reported_at = EXCLUDED.reported_at, lease_until = EXCLUDED.lease_until;
    SELECT array_agg(l.member_id) INTO v_live FROM eventstream.live_members() AS l;
    -- The connection that held the caller's lock is lost: others own its shards, or soon will.
    IF p_member_id = ANY (v_live) IS NOT TRUE THEN
        RETURN;
    END IF;
    -- Members that have been gone for long are removed, whoever comes first: nobody waits for another who does it.
    DELETE FROM eventstream.subscription_members AS m
    WHERE m.member_id IN (
        SELECT g.member_id FROM eventstream.subscription_members AS g
        WHERE g.lease_until < clock_timestamp() - interval '1 minute' AND g.member_id <> ALL (v_live)
        FOR UPDATE SKIP LOCKED);

    -- Only where there is something to claim. A shard is also free if its owner no longer runs the subscription.
    FOR r IN
        SELECT c.name, c.share - t.own AS wanted, c.live
        FROM eventstream.fair_shares(p_member_id, v_live, p_subscriptions) AS c
        CROSS JOIN LATERAL (
            SELECT
                count(*) FILTER (WHERE h.member_id = p_member_id) AS own,
                count(*) FILTER (WHERE h.member_id IS NULL OR h.member_id <> ALL (c.live)) AS free
            FROM eventstream.subscription_shards AS h
            WHERE h.subscription = c.name
        ) AS t
        WHERE c.share > t.own AND t.free > 0
        ORDER BY c.name
    LOOP
        UPDATE eventstream.subscription_shards AS h
        SET member_id = p_member_id, epoch = h.epoch + 1
        FROM (
            SELECT f.shard
            FROM eventstream.subscription_shards AS f
            WHERE f.subscription = r.name AND (f.member_id IS NULL OR f.member_id <> ALL (r.live))
            ORDER BY f.shard
            LIMIT r.wanted
            -- What another process is claiming is not free.
            FOR NO KEY UPDATE SKIP LOCKED
        ) AS c
        WHERE h.subscription = r.name AND h.shard = c.shard;
    END LOOP;

    RETURN QUERY
    SELECT h.subscription, h.shard, h.position, h.epoch, c.share
    FROM eventstream.fair_shares(p_member_id, v_live, p_subscriptions) AS c
    JOIN eventstream.subscription_shards AS h ON h.subscription = c.name AND h.member_id = p_member_id
    ORDER BY h.subscription, h.shard;
END;
$$;

COMMENT ON FUNCTION eventstream.claim_shards IS
    'Says that a process is alive, claims free shards up to its fair share, and returns all that it owns, with its '
    'share of each subscription; what it owns above its share, it gives to others with release_shard().';

CREATE FUNCTION eventstream.release_shard(p_subscription text, p_shard integer, p_epoch bigint) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET member_id = NULL
    WHERE h.subscription = p_subscription AND h.shard = p_shard AND h.epoch = p_epoch AND h.member_id IS NOT NULL;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION eventstream.release_shard IS
    'Gives a shard back if it is still owned in p_epoch. Returns whether it was.';

-- So that a shard that is stuck does not look healthy to those who have psql alone.
CREATE FUNCTION eventstream.record_failure(
    p_subscription text,
    p_shard integer,
    p_epoch bigint,
    p_position bigint,
    p_event_id uuid,
    p_tries integer,
    p_error text
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.record_failure IS
    'Says what the handler of a shard fails on, for audit_subscriptions; without effect for anyone but the owner of '
    'p_epoch. It is forgotten once the checkpoint has passed it.';

CREATE FUNCTION eventstream.forget_failure(p_subscription text, p_shard integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    UPDATE eventstream.subscription_shards AS h
    SET failing_position = NULL, failing_event = NULL, failing_since = NULL, tries = NULL, last_error = NULL
    WHERE h.subscription = p_subscription AND h.shard = p_shard;
END;
$$;

COMMENT ON FUNCTION eventstream.forget_failure IS 'Forgets what a shard failed on: its checkpoint has passed it.';

-- The moment that decides: whatever the handler did stays only if this goes through.
CREATE FUNCTION eventstream.move_checkpoint(
    p_subscription text,
    p_shard integer,
    p_epoch bigint,
    p_position bigint,
    p_events bigint,
    p_token text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.move_checkpoint IS
    'Moves a shard''s checkpoint forward for its owner of p_epoch, whose member''s lock is held on this server; ES012 '
    'for anyone else, ES013 beyond the end of the log, ES014 if the transaction is not the one that p_token was set '
    'in.';

-- Checkpoints of shards that got nothing need not be exact: those of all idle shards of a process move at once.
CREATE FUNCTION eventstream.move_idle_checkpoints(
    p_subscriptions text[],
    p_shards integer[],
    p_epochs bigint[],
    p_positions bigint[]
) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.move_idle_checkpoints IS
    'Moves checkpoints past events that were not for their subscription; a shard that has another owner, or is locked, '
    'stays. Returns how many have got there.';

REVOKE EXECUTE ON FUNCTION
    eventstream.fair_shares, eventstream.claim_shards, eventstream.release_shard, eventstream.record_failure,
    eventstream.forget_failure, eventstream.move_checkpoint, eventstream.move_idle_checkpoints
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.move_idle_checkpoints, eventstream.move_checkpoint, eventstream.forget_failure,
    eventstream.record_failure, eventstream.release_shard, eventstream.claim_shards, eventstream.fair_shares,
    eventstream.live_members, eventstream.member_key;
