-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.end_rebuild(p_name text, p_request_id uuid, p_error text DEFAULT NULL::text)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    UPDATE eventstream.rebuild_requests AS q
    SET ended_at = clock_timestamp(),
        outcome = CASE WHEN p_error IS NULL THEN 'done' ELSE 'failed' END,
        error = left(p_error, 8192)
    WHERE q.projection = p_name AND q.request_id = p_request_id AND q.ended_at IS NULL AND q.takes > 0;
    RETURN FOUND;
END;
$function$;

COMMENT ON FUNCTION eventstream.end_rebuild(text,uuid,text) IS 'Says that a request is done, in the transaction that makes the new tables live, or why it failed; false if it is not open any more, so that the caller gives its work up.';

REVOKE ALL ON FUNCTION eventstream.end_rebuild(text,uuid,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.end_rebuild(text,uuid,text) TO eventstream_subscriber;
