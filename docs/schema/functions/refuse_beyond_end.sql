-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_beyond_end(p_field text, p_value bigint, p_last bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES013',
        format('%s %s is beyond the end of the log, which is at %s', p_field, p_value, p_last),
        jsonb_build_object('field', p_field, 'position', p_value, 'last', p_last),
        'Give one that the log has reached; a checkpoint from another database does not fit this one.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_beyond_end(text,bigint,bigint) IS 'Raises ES013. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_beyond_end(text,bigint,bigint) TO PUBLIC;
