-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_unknown_stream(p_stream_id text, p_hint text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.check_name('stream_id', p_stream_id);
    PERFORM eventstream.refuse('ES018', format('stream %L not found', p_stream_id),
        jsonb_build_object('stream_id', p_stream_id), p_hint);
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_unknown_stream(text,text) IS 'Raises ES018 (stream not found), or ES008 for what cannot be the id of one. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_unknown_stream(text,text) FROM PUBLIC;
