-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.fail_timer(p_process text, p_key text, p_name text, p_timer_id uuid, p_error text, p_tries integer, p_pause interval, p_park boolean)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    UPDATE eventstream.timers AS t
    SET tries = t.tries + p_tries,
        last_error = p_error,
        next_at = clock_timestamp() + p_pause,
        parked_at = CASE WHEN p_park THEN clock_timestamp() END
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name
        -- Set anew meanwhile, it has not failed.
        AND t.timer_id = p_timer_id AND t.parked_at IS NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.fail_timer(text,text,text,uuid,text,integer,interval,boolean) IS 'Notes that the handler of a timer failed: it is tried again after a pause, or parked.';

REVOKE ALL ON FUNCTION eventstream.fail_timer(text,text,text,uuid,text,integer,interval,boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.fail_timer(text,text,text,uuid,text,integer,interval,boolean) TO eventstream_subscriber;
