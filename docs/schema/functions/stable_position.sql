-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.stable_position()
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_last bigint;
    v_key bigint;
BEGIN
    -- A standby sees no locks, and a transaction with one snapshot for all its statements would be told of positions
    -- whose events it cannot see.
    IF pg_is_in_recovery() OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0);
    END IF;
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    -- Keys of in_flight_key: 'ES', then the 48 bits of a position. Whether a lock is granted or awaited does not
    -- matter.
    SELECT min(((k.classid::bigint & 65535) << 32) | k.objid::bigint) INTO v_key
    FROM pg_catalog.pg_locks AS k
    WHERE k.locktype = 'advisory'
        AND k.classid::bigint >> 16 = 17747
        AND k.objsubid = 1
        AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database());
    RETURN least(v_last, v_key);
END;
$function$;

COMMENT ON FUNCTION eventstream.stable_position() IS 'Highest position below which nothing can still appear. Read events up to it in a later statement, never in the same one. On a standby, and in a transaction of one snapshot: the position that log_state keeps.';

GRANT EXECUTE ON FUNCTION eventstream.stable_position() TO PUBLIC;
