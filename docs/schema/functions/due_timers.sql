-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.due_timers(p_process text, p_after_at timestamp with time zone, p_after_key text, p_after_name text, p_limit integer)
 RETURNS TABLE(next_at timestamp with time zone, key text, name text, failed boolean)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    SELECT t.next_at, t.key, t.name, t.last_error IS NOT NULL
    FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.parked_at IS NULL AND t.next_at <= v_now
        AND (t.next_at, t.key, t.name) > (p_after_at, p_after_key COLLATE "C", p_after_name COLLATE "C")
    ORDER BY t.next_at, t.key, t.name
    LIMIT p_limit;
END;
$function$;

COMMENT ON FUNCTION eventstream.due_timers(text,timestamp with time zone,text,text,integer) IS 'Timers of a process whose time has come, behind one of them, in order of time, and which of them failed before. Locks none.';

GRANT EXECUTE ON FUNCTION eventstream.due_timers(text,timestamp with time zone,text,text,integer) TO PUBLIC;
