-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_query(p_query jsonb)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_last bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.lock_tags(eventstream.query_keys(p_query), NULL);
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    PERFORM eventstream.check_decision(v_last, NULL, 0);
    RETURN v_last;
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_query(jsonb) IS 'Keeps others from appending what matches the query until the transaction ends, and returns the position to read up to, in a later statement, and to decide on with append_if.';

REVOKE ALL ON FUNCTION eventstream.lock_query(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.lock_query(jsonb) TO eventstream_tenant;
GRANT EXECUTE ON FUNCTION eventstream.lock_query(jsonb) TO eventstream_writer;
