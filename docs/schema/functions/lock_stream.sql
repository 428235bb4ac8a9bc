-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_stream(p_stream_id text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_id));
END;
$function$;

COMMENT ON FUNCTION eventstream.lock_stream(text) IS 'Keeps other appenders of a stream waiting until the transaction ends, for who wants to decide first. Read the stream in a later statement, and in READ COMMITTED.';

GRANT EXECUTE ON FUNCTION eventstream.lock_stream(text) TO PUBLIC;
