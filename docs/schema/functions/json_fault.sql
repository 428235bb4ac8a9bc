-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.json_fault(p_value jsonb)
 RETURNS text
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_bytes integer;
BEGIN
    v_bytes := octet_length(p_value::text);
    RETURN CASE
        WHEN v_bytes > 64000000 THEN v_bytes || ' bytes as text'
        WHEN jsonb_path_exists(p_value, 'strict $.**{1000} ? (@.type() == "array" || @.type() == "object")')
            THEN 'more than 1000 levels'
    END;
EXCEPTION
    WHEN program_limit_exceeded THEN
        RETURN 'more bytes as text than a text can have';
    WHEN internal_error OR data_corrupted THEN
        -- What is stored has been damaged: the audit says so, rather than to fail.
        RETURN SQLERRM;
END;
$function$;

COMMENT ON FUNCTION eventstream.json_fault(jsonb) IS 'What is wrong with JSON that has more than 64000000 bytes as text, or more than 1000 levels of arrays and objects, or has been damaged; else NULL. Prints it: is_json() asks first whether that is needed.';

GRANT EXECUTE ON FUNCTION eventstream.json_fault(jsonb) TO PUBLIC;
