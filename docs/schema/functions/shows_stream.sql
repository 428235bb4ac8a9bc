-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.shows_stream(p_stream_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    RETURN EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1);
END;
$function$;

COMMENT ON FUNCTION eventstream.shows_stream(text) IS 'Whether the caller may see the events of a stream, and there are any; an error if it may read no events at all.';

GRANT EXECUTE ON FUNCTION eventstream.shows_stream(text) TO PUBLIC;
