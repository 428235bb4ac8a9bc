-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_borrowed(p_table text, p_own text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES009',
        format('a trigger function of %s runs on table %s', p_own, p_table),
        jsonb_build_object('table', p_table, 'own_table', p_own),
        'Drop the trigger: these functions serve one table.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_borrowed(text,text) IS 'Raises ES009: a trigger function is used on another table. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_borrowed(text,text) FROM PUBLIC;
