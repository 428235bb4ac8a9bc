-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_json(p_field text, p_value jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_fault text := eventstream.json_fault(p_value);
BEGIN
    IF v_fault IS NOT NULL THEN
        PERFORM eventstream.refuse_value(p_field, v_fault,
            'at most 64000000 bytes as text, with the exponents of numbers written out, and 1000 levels of arrays and '
            'objects');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_json(text,jsonb) IS 'Raises ES008 for JSON that is too long as text, or nested too deep; returns otherwise.';

REVOKE ALL ON FUNCTION eventstream.refuse_json(text,jsonb) FROM PUBLIC;
