-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.request_rebuild(p_name text, p_in_place boolean DEFAULT false, p_shard_count integer DEFAULT NULL::integer)
 RETURNS TABLE(outcome text, request_id uuid)
 LANGUAGE plpgsql
 SECURITY DEFINER ROWS 1
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_id uuid;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    PERFORM eventstream.lock_known_projection(p_name);
    SELECT q.request_id INTO v_id
    FROM eventstream.rebuild_requests AS q
    WHERE q.projection = p_name AND q.ended_at IS NULL;
    IF FOUND THEN
        RETURN QUERY SELECT 'open', v_id;
        RETURN;
    -- Without its subscription it is done, and drops the tables that it has replaced.
    ELSIF eventstream.is_rebuilding(p_name)
        AND EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name) THEN
        RETURN QUERY SELECT 'rebuilding', NULL::uuid;
        RETURN;
    END IF;
    DELETE FROM eventstream.rebuild_requests AS q WHERE q.projection = p_name;
    INSERT INTO eventstream.rebuild_requests AS q (projection, in_place, shard_count)
    VALUES (p_name, coalesce(p_in_place, false), p_shard_count)
    RETURNING q.request_id INTO v_id;
    RETURN QUERY SELECT 'requested', v_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.request_rebuild(text,boolean,integer) IS 'Asks for a rebuild of a projection, which a process that runs it takes up. outcome: requested; open, if one was requested before and has not ended: request_id is that one''s; rebuilding, if one runs that nobody requested. ES010 for an unknown projection, ES011 for a subscription that is none.';

REVOKE ALL ON FUNCTION eventstream.request_rebuild(text,boolean,integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.request_rebuild(text,boolean,integer) TO eventstream_subscriber;
