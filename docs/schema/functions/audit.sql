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
    SELECT o.check_name, o.severity, o.stream_id, o.version, o.detail FROM eventstream.audit_objects() AS o
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
    SELECT 'erasures', 'error', r.stream_id, r.version, to_jsonb(r) FROM eventstream.audit_erasures AS r
    UNION ALL
    SELECT 'archive', 'error', a.stream_id, a.version, to_jsonb(a) FROM eventstream.audit_archive AS a
    UNION ALL
    SELECT 'sequences', 'error', NULL::text, NULL::bigint, to_jsonb(q) FROM eventstream.audit_sequences AS q
    UNION ALL
    SELECT 'seals', 'error', NULL::text, NULL::bigint, to_jsonb(s) FROM eventstream.audit_seals AS s
    UNION ALL
    SELECT 'seals', 'error', b.stream_id, b.version, to_jsonb(b) FROM eventstream.audit_newest_block AS b
    UNION ALL
    SELECT 'clocks', 'warning', k.stream_id, k.version, to_jsonb(k) FROM eventstream.audit_clocks AS k;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit() IS 'Everything that is wrong with the store: no row means clean. severity: error for damage; warning for what somebody should look at, as a hole that events wait behind. Reads the tables whole; run_audit() goes on from the last one.';

GRANT EXECUTE ON FUNCTION eventstream.audit() TO PUBLIC;
