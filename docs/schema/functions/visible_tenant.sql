-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.visible_tenant(p_user name)
 RETURNS text
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tenant_id text := nullif(current_setting('eventstream.tenant_id', true), '');
BEGIN
    IF v_tenant_id IS NULL OR p_user <> session_user AND NOT pg_has_role(session_user, p_user, 'MEMBER') THEN
        RETURN NULL;
    END IF;
    -- Who logged in, and in whose name the statement runs: each that is listed must be listed with this tenant.
    IF EXISTS (
        SELECT FROM eventstream.tenant_roles AS r
        WHERE r.role_name IN (session_user, p_user)
        GROUP BY r.role_name
        HAVING NOT bool_or(r.tenant_id = v_tenant_id))
    THEN
        RETURN NULL;
    END IF;
    RETURN v_tenant_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.visible_tenant(name) IS 'The tenant whose rows a statement of a bound role may see and write: that of the setting eventstream.tenant_id, NULL without one, and NULL if a login that is listed in tenant_roles names a tenant that is not its own.';

GRANT EXECUTE ON FUNCTION eventstream.visible_tenant(name) TO PUBLIC;
