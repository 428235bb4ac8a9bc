-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.snapshot_holds(p_stream_id text, p_version bigint, p_event_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    RETURN EXISTS (
        SELECT FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version = p_version AND e.event_id = p_event_id);
END;
$function$;

COMMENT ON FUNCTION eventstream.snapshot_holds(text,bigint,uuid) IS 'Whether a stream has this event at this version. Where it does not, a snapshot that was made there is of another history: a failover or a restore lost the end of the stream, or the row is another stream''s.';

GRANT EXECUTE ON FUNCTION eventstream.snapshot_holds(text,bigint,uuid) TO PUBLIC;
