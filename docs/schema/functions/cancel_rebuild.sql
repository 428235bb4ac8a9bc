-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.cancel_rebuild(p_name text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_takes integer;
BEGIN
    PERFORM eventstream.lock_known_projection(p_name);
    UPDATE eventstream.rebuild_requests AS q
    SET ended_at = clock_timestamp(), outcome = 'canceled'
    WHERE q.projection = p_name AND q.ended_at IS NULL
    RETURNING q.takes INTO v_takes;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What it has filled so far goes no further, and nobody has to begin it again.
    IF v_takes > 0 THEN
        PERFORM eventstream.delete_subscription(s.name) FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name;
    END IF;
    RETURN true;
END;
$function$;

COMMENT ON FUNCTION eventstream.cancel_rebuild(text) IS 'Takes back a request to rebuild a projection, and ends the rebuild if a process is at it; whether one was open. Tables that were being filled in place stay incomplete, until a rebuild is done.';

REVOKE ALL ON FUNCTION eventstream.cancel_rebuild(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.cancel_rebuild(text) TO eventstream_subscriber;
