-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_position(p_stream_id text, p_version bigint, p_position bigint, p_key bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES006',
        format('position %s of version %s of stream %L was not drawn by this transaction', p_position, p_version, p_stream_id),
        jsonb_build_object('stream_id', p_stream_id, 'version', p_version, 'position', p_position,
            'drawn_above', p_key,
            'sequence', pg_sequence_last_value('eventstream.events_position_seq'::regclass)),
        'Leave position out: the database draws it.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_position(text,bigint,bigint,bigint) IS 'Raises ES006 for a position given by hand. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_position(text,bigint,bigint,bigint) TO PUBLIC;
