-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.cancel_timers(p_process text, p_key text, p_name text DEFAULT NULL::text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_cancelled bigint;
BEGIN
    DELETE FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.key = p_key AND (p_name IS NULL OR t.name = p_name);
    GET DIAGNOSTICS v_cancelled = ROW_COUNT;
    RETURN v_cancelled;
END;
$function$;

COMMENT ON FUNCTION eventstream.cancel_timers(text,text,text) IS 'Removes a timer, or all of a key, and returns how many there were. Waits for one that is being handled: it has fired, or is still there and removed.';

REVOKE ALL ON FUNCTION eventstream.cancel_timers(text,text,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.cancel_timers(text,text,text) TO eventstream_subscriber;
GRANT EXECUTE ON FUNCTION eventstream.cancel_timers(text,text,text) TO eventstream_writer;
