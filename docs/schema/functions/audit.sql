-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit()
 RETURNS TABLE(check_name text, severity text, stream_id text, version bigint, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET work_mem TO '64MB'
AS $function$
BEGIN
    RETURN QUERY
    SELECT 'triggers', 'error', NULL::text, NULL::bigint, to_jsonb(t) FROM eventstream.audit_triggers AS t
    UNION ALL
    SELECT 'gaps', 'error', g.stream_id, g.first_missing, to_jsonb(g) FROM eventstream.audit_gaps AS g
    UNION ALL
    SELECT 'order', 'error', o.stream_id, o.version, to_jsonb(o) FROM eventstream.audit_order AS o
    UNION ALL
    SELECT 'tenants', 'error', n.stream_id, n.version, to_jsonb(n) FROM eventstream.audit_tenants AS n
    UNION ALL
    SELECT 'partitions', 'error', p.stream_id, p.version, to_jsonb(p) FROM eventstream.audit_partitions AS p
    UNION ALL
    SELECT 'values', 'error', v.stream_id, v.version, to_jsonb(v) FROM eventstream.audit_values AS v
    UNION ALL
    SELECT 'pending', CASE WHEN w.problem = 'hole' THEN 'warning' ELSE 'error' END, w.stream_id, w.first_missing, to_jsonb(w)
    FROM eventstream.audit_pending AS w
    UNION ALL
    SELECT 'sequences', 'error', NULL::text, NULL::bigint, to_jsonb(q) FROM eventstream.audit_sequences AS q
    UNION ALL
    SELECT 'seals', 'error', NULL::text, NULL::bigint, to_jsonb(s) FROM eventstream.audit_seals AS s
    UNION ALL
    SELECT 'subject_keys', 'error', NULL::text, NULL::bigint, to_jsonb(k) FROM eventstream.audit_subject_keys AS k;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit() IS 'Everything that is wrong with the store: no row means clean. severity: error for damage, warning for a hole that events wait behind.';

GRANT EXECUTE ON FUNCTION eventstream.audit() TO PUBLIC;
