-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_rebuilding(p_name text)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN EXISTS (
        SELECT FROM pg_catalog.pg_locks AS k
        WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
            AND (k.classid::bigint << 32) | k.objid::bigint = eventstream.rebuild_key(p_name)
            AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()));
END;
$function$;

COMMENT ON FUNCTION eventstream.is_rebuilding(text) IS 'Whether somebody rebuilds a projection at this moment.';

GRANT EXECUTE ON FUNCTION eventstream.is_rebuilding(text) TO PUBLIC;
