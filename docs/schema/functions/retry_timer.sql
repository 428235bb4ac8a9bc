-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.retry_timer(p_process text, p_key text, p_name text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    UPDATE eventstream.timers AS t
    SET parked_at = NULL, tries = 0, next_at = clock_timestamp()
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name AND t.parked_at IS NOT NULL;
    RETURN FOUND;
END;
$function$;

COMMENT ON FUNCTION eventstream.retry_timer(text,text,text) IS 'Lets a timer that is parked be tried again, and returns whether there was one.';

REVOKE ALL ON FUNCTION eventstream.retry_timer(text,text,text) FROM PUBLIC;
