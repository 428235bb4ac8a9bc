-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.claim_shards(p_member_id bigint, p_application text, p_subscriptions text[], p_lease interval)
 RETURNS TABLE(claimed_subscription text, claimed_shard integer, claimed_position bigint, claimed_epoch bigint, share integer)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.claim_shards(bigint,text,text[],interval) IS 'Says that a process is alive, claims free shards up to its fair share, and returns all that it owns, with its share of each subscription; what it owns above its share, it gives to others with release_shard().';

REVOKE ALL ON FUNCTION eventstream.claim_shards(bigint,text,text[],interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.claim_shards(bigint,text,text[],interval) TO eventstream_subscriber;
