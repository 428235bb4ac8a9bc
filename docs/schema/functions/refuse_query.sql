-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_query(p_query jsonb, p_rule text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse_value('query', p_query::text, p_rule);
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_query(jsonb,text) IS 'Raises ES008: a query is none. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_query(jsonb,text) TO PUBLIC;
