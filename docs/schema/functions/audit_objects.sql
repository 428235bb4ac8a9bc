-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit_objects()
 RETURNS TABLE(check_name text, severity text, stream_id text, version bigint, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT CASE t.kind WHEN 'privilege' THEN 'privileges' ELSE 'triggers' END, t.severity, NULL::text, NULL::bigint,
        to_jsonb(t) - 'severity'
    FROM eventstream.schema_changes AS t
    UNION ALL
    SELECT 'pending', CASE WHEN w.problem = 'hole' THEN 'warning' ELSE 'error' END, w.stream_id, w.first_missing, to_jsonb(w)
    FROM eventstream.audit_pending AS w
    UNION ALL
    SELECT 'checkpoints', 'error', NULL::text, NULL::bigint, to_jsonb(c) FROM eventstream.audit_checkpoints AS c
    UNION ALL
    SELECT 'subject_keys', 'error', NULL::text, NULL::bigint, to_jsonb(k) FROM eventstream.audit_subject_keys AS k;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit_objects() IS 'The part of audit() that does not grow with the log: what holds the rules, what waits, checkpoints and keys.';

GRANT EXECUTE ON FUNCTION eventstream.audit_objects() TO PUBLIC;
