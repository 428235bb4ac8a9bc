-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.bound_tenant()
 RETURNS text
 LANGUAGE plpgsql
 STABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tenant_id text := nullif(current_setting('eventstream.tenant_id', true), '');
BEGIN
    -- A login is listed at most once for a tenant, so as many rows as logins say that each has it.
    RETURN (
        SELECT v_tenant_id
        FROM eventstream.tenant_roles AS r
        WHERE r.role_name IN (session_user, current_user)
        HAVING count(DISTINCT r.role_name) = count(*) FILTER (WHERE r.tenant_id = v_tenant_id));
END;
$function$;

COMMENT ON FUNCTION eventstream.bound_tenant() IS 'The tenant that the session names, if those of its login and its current role that tenant_roles lists are both bound to it, else NULL. For session_tenant.';

GRANT EXECUTE ON FUNCTION eventstream.bound_tenant() TO PUBLIC;
