-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.take_rebuild(p_name text, p_application text)
 RETURNS TABLE(request_id uuid, in_place boolean, shard_count integer, requested_by text)
 LANGUAGE plpgsql
 SECURITY DEFINER ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    -- Without the lock two could be at it, and the one who looks at the row could not tell that nobody is.
    IF NOT eventstream.is_rebuilding(p_name) THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE eventstream.rebuild_requests AS q
    SET taken_at = clock_timestamp(), taken_by = p_application, takes = q.takes + 1
    WHERE q.projection = p_name AND q.ended_at IS NULL
    RETURNING q.request_id, q.in_place, q.shard_count, q.requested_by;
END;
$function$;

COMMENT ON FUNCTION eventstream.take_rebuild(text,text) IS 'Takes up a request, for the process that holds the lock of rebuild_key(); no row if none is open.';

REVOKE ALL ON FUNCTION eventstream.take_rebuild(text,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.take_rebuild(text,text) TO eventstream_subscriber;
