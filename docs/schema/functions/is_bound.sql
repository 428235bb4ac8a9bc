-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_bound(p_role text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN NOT (
        pg_has_role(p_role, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'eventstream.events'::regclass), 'USAGE')
        OR coalesce(pg_has_role(p_role, to_regrole('eventstream_all_tenants'), 'USAGE'), false)
        OR (SELECT r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = p_role));
END;
$function$;

COMMENT ON FUNCTION eventstream.is_bound(text) IS 'Whether row security holds a role to one tenant: false for superusers, the owner, members of eventstream_all_tenants, and roles with BYPASSRLS.';

GRANT EXECUTE ON FUNCTION eventstream.is_bound(text) TO PUBLIC;
