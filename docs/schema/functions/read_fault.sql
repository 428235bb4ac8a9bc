-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.read_fault(p_position bigint)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_bytes bigint;
BEGIN
    SELECT octet_length(e.payload::text)::bigint + octet_length(e.metadata::text)
        + coalesce(octet_length(e.data || ''::bytea), 0)
    INTO v_bytes
    FROM eventstream.events AS e
    WHERE e.position = p_position;
    RETURN CASE WHEN v_bytes > 1073700000 THEN format('%s bytes as text, which no message has room for', v_bytes) END;
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE ~ '^(40|53|55|57|58)' THEN
        RAISE;
    END IF;
    RETURN format('%s (SQLSTATE %s)', SQLERRM, SQLSTATE);
END;
$function$;

COMMENT ON FUNCTION eventstream.read_fault(bigint) IS 'Why the server cannot give the event at a position to anybody: JSON that is longer than any text, or damage; NULL if it can.';

GRANT EXECUTE ON FUNCTION eventstream.read_fault(bigint) TO PUBLIC;
