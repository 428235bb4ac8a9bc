-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.versions_to_erase(p_stream_id text, p_versions int8range, p_reason text, OUT from_version bigint, OUT to_version bigint)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_last bigint := greatest(
        (SELECT e.version FROM eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1),
        (SELECT d.version FROM eventstream.discarded_events AS d WHERE d.stream_id = p_stream_id ORDER BY d.version DESC LIMIT 1));
BEGIN
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    ELSIF p_versions IS NULL OR isempty(p_versions) THEN
        PERFORM eventstream.refuse_value('versions', p_versions::text, 'a range such as [2,2], [2,5] or [2,], to the last one');
    ELSIF v_last IS NULL THEN
        PERFORM eventstream.refuse_unknown_stream(p_stream_id,
            'Check its id. What waits for a hole can be erased once it is discarded: eventstream.discard_pending.');
    END IF;
    from_version := coalesce(lower(p_versions), 1);
    to_version := coalesce(upper(p_versions) - 1, v_last);
    IF from_version < 1 OR to_version > v_last OR from_version > to_version THEN
        PERFORM eventstream.refuse_value('versions', p_versions::text, format('within [1,%s], the versions of stream %L', v_last, p_stream_id));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.versions_to_erase(text,int8range,text) IS 'The first and the last version that erase() is asked for; ES008 for what a stream does not have, ES018 if there is none. For erase() alone.';

REVOKE ALL ON FUNCTION eventstream.versions_to_erase(text,int8range,text) FROM PUBLIC;
