-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_closed(p_stream_id text, p_closed_at bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES017',
        format('stream %L is closed: version %s, of type $closed, is its last event', p_stream_id, p_closed_at),
        jsonb_build_object('stream_id', p_stream_id, 'current_version', p_closed_at),
        'A stream is closed for good. Begin another one.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_closed(text,bigint) IS 'Raises ES017 (stream closed). Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_closed(text,bigint) TO PUBLIC;
