-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_tables(p_name text, p_problem text, p_advice text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES016',
        format('projection %L: %s', p_name, p_problem),
        jsonb_build_object('subscription', p_name, 'problem', p_problem),
        p_advice);
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_tables(text,text,text) IS 'Raises ES016: tables and checkpoint of a projection do not belong together. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_tables(text,text,text) FROM PUBLIC;
