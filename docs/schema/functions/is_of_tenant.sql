-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_of_tenant(p_stream_id text, p_tenant_id text)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    RETURN EXISTS (
        SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1 AND e.tenant_id = p_tenant_id
        UNION ALL
        SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.tenant_id = p_tenant_id);
END;
$function$;

COMMENT ON FUNCTION eventstream.is_of_tenant(text,text) IS 'Whether a stream exists and is of this tenant.';

REVOKE ALL ON FUNCTION eventstream.is_of_tenant(text,text) FROM PUBLIC;
