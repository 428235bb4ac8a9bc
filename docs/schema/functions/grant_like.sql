-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.grant_like(p_function regprocedure, p_model text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
DECLARE
    r record;
BEGIN
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p_function);
    FOR r IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
        FROM pg_proc AS p
        CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.pronamespace = 'eventstream'::regnamespace AND p.proname = p_model AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', p_function, r.grantee, r.option);
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION eventstream.grant_like(regprocedure,text) IS 'Lets those, and only those, execute a new function who may execute another one of the schema. For migrations.';

GRANT EXECUTE ON FUNCTION eventstream.grant_like(regprocedure,text) TO PUBLIC;
