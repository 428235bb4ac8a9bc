-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_process_states(p_process text, p_keys text[])
 RETURNS TABLE(key text, state jsonb)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT s.key, s.state
    FROM eventstream.process_states AS s
    WHERE s.process = p_process AND s.key = ANY (p_keys)
    ORDER BY s.key
    FOR UPDATE;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_process_states(text,text[]) IS 'What a process manager knows of these keys, held until the end of the transaction. A key without a state has no row.';

REVOKE ALL ON FUNCTION eventstream.lock_process_states(text,text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.lock_process_states(text,text[]) TO eventstream_subscriber;
