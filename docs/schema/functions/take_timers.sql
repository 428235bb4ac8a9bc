-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.take_timers(p_process text, p_keys text[], p_names text[])
 RETURNS TABLE(key text, name text, timer_id uuid, due_at timestamp with time zone, set_at timestamp with time zone, taken_at timestamp with time zone, tries integer, payload jsonb, metadata jsonb)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    PERFORM FROM eventstream.process_states AS s
    WHERE s.process = p_process AND s.key = ANY (p_keys)
    ORDER BY s.key
    FOR UPDATE;
    -- One after the other, since the plan of a join may begin with all timers of the process.
    FOR r IN SELECT u.key, u.name FROM unnest(p_keys, p_names) AS u (key, name) LOOP
        PERFORM FROM eventstream.timers AS t
        WHERE t.process = p_process AND t.key = r.key AND t.name = r.name
            -- It may have been set anew, or parked, since it was seen. By num_nulls, which no plan can use: with IS NULL one
            -- could go through the index of what is to come.
            AND num_nulls(t.parked_at) = 1 AND t.next_at <= clock_timestamp()
        FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            RETURN QUERY
            DELETE FROM eventstream.timers AS t
            WHERE t.process = p_process AND t.key = r.key AND t.name = r.name
            RETURNING t.key, t.name, t.timer_id, t.due_at, t.set_at, clock_timestamp(), t.tries, t.payload, t.metadata;
        END IF;
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION eventstream.take_timers(text,text[],text[]) IS 'Takes timers out, for who handles them in the same transaction; no row for one that is not due, gone, or in other hands.';

REVOKE ALL ON FUNCTION eventstream.take_timers(text,text[],text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.take_timers(text,text[],text[]) TO eventstream_subscriber;
