-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse(p_code text, p_message text, p_detail jsonb, p_hint text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_code, MESSAGE = p_message, DETAIL = p_detail::text, HINT = p_hint;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse(text,text,jsonb,text) IS 'Raises an error of class ES: SQLSTATE p_code, DETAIL one JSON object, HINT what to do. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse(text,text,jsonb,text) TO PUBLIC;
