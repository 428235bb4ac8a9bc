-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_tenant(p_stream_id text, p_stream_tenant text, p_event_tenant text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF eventstream.is_bound(eventstream.calling_role()) THEN
        PERFORM eventstream.refuse(
            'ES003',
            format('stream id %L cannot be used by tenant %L', p_stream_id, p_event_tenant),
            jsonb_build_object('stream_id', p_stream_id, 'event_tenant', p_event_tenant),
            'Choose another stream id.');
    END IF;
    PERFORM eventstream.refuse(
        'ES003',
        format('stream %L belongs to tenant %L, the event to tenant %L', p_stream_id, p_stream_tenant, p_event_tenant),
        jsonb_build_object('stream_id', p_stream_id, 'stream_tenant', p_stream_tenant, 'event_tenant', p_event_tenant),
        'A stream has one tenant, that of its first event. Append with it, or to another stream.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_tenant(text,text,text) IS 'Raises ES003 (tenant mismatch). Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_tenant(text,text,text) TO PUBLIC;
