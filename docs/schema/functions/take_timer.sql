-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.take_timer(p_process text, p_key text, p_name text)
 RETURNS TABLE(timer_id uuid, due_at timestamp with time zone, set_at timestamp with time zone, taken_at timestamp with time zone, tries integer, payload jsonb)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM FROM eventstream.process_states AS s WHERE s.process = p_process AND s.key = p_key FOR UPDATE;
    PERFORM FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name
        -- It may have been set anew, or parked, since it was seen.
        AND t.parked_at IS NULL AND t.next_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    DELETE FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name
    RETURNING t.timer_id, t.due_at, t.set_at, clock_timestamp(), t.tries, t.payload;
END;
$function$;

COMMENT ON FUNCTION eventstream.take_timer(text,text,text) IS 'Takes a timer out, for who handles it in the same transaction; no row if it is not due, gone, or in other hands.';

REVOKE ALL ON FUNCTION eventstream.take_timer(text,text,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.take_timer(text,text,text) TO eventstream_subscriber;
