-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_name(p_field text, p_value text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF eventstream.is_name(p_value) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value(p_field, p_value,
            '1 to 128 bytes of UTF-8, without control characters, and without white space at either end');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.check_name(text,text) IS 'Raises ES008 for a text that is_name() refuses, and for NULL.';

REVOKE ALL ON FUNCTION eventstream.check_name(text,text) FROM PUBLIC;
