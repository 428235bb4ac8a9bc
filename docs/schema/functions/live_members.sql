-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.live_members()
 RETURNS TABLE(member_id bigint, subscriptions text[])
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.live_members() IS 'Processes that run subscriptions, without those that have died or hang.';

GRANT EXECUTE ON FUNCTION eventstream.live_members() TO PUBLIC;
