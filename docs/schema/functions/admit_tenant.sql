-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.admit_tenant(p_tenant_id text)
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_role name := eventstream.calling_role();
    v_session text := nullif(current_setting('eventstream.tenant_id', true), '');
    v_tenant_id text := coalesce(nullif(p_tenant_id, ''), v_session);
BEGIN
    -- A session that is not bound has not meant this; or PostgreSQL runs somebody's code in it, as autovacuum does.
    IF v_role <> 'eventstream_tenant'
        AND NOT (pg_has_role(v_role, 'eventstream_tenant', 'USAGE') AND eventstream.is_bound(v_role))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s is not bound to a tenant', v_role),
            HINT = 'SET ROLE eventstream_tenant first; or, for all tenants, call append_batch and its like.';
    ELSIF v_tenant_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'the session does not say for which tenant it acts',
            HINT = 'SELECT set_config(''eventstream.tenant_id'', ''...'', true) in the transaction, first.';
    ELSIF v_tenant_id <> v_session THEN
        PERFORM eventstream.refuse(
            'ES003',
            format('the session acts for tenant %L, the event is of tenant %L', v_session, v_tenant_id),
            jsonb_build_object('stream_tenant', v_session, 'event_tenant', v_tenant_id),
            'Leave the tenant of the event out, or set eventstream.tenant_id to it.');
    ELSIF EXISTS (
        SELECT FROM eventstream.tenant_roles AS r
        WHERE r.role_name IN (session_user, v_role) AND NOT EXISTS (
            SELECT FROM eventstream.tenant_roles AS q WHERE q.role_name = r.role_name AND q.tenant_id = v_tenant_id))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s may not act for tenant %L', session_user, v_tenant_id),
            HINT = 'It is bound to others, by eventstream.tenant_roles.';
    END IF;
    RETURN v_tenant_id;
END;
$function$;

COMMENT ON FUNCTION eventstream.admit_tenant(text) IS 'The tenant that a writing call acts for: the given one, which must be that of the session if that names one, else the session''s. Raises 42501 or ES003 if the caller may not. For the functions that write for one tenant.';

REVOKE ALL ON FUNCTION eventstream.admit_tenant(text) FROM PUBLIC;
