-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.record_schema()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_changed bigint;
BEGIN
    -- What is recorded last counts, whatever the clock says.
    INSERT INTO eventstream.schema_record (recorded_at, kind, name, digest)
    SELECT greatest(clock_timestamp(), r.recorded_at + interval '1 microsecond'),
        coalesce(o.kind, r.kind), coalesce(o.name, r.name), sha256(convert_to(o.definition, 'UTF8'))
    FROM eventstream.schema_objects AS o
    FULL JOIN (
        SELECT DISTINCT ON (q.kind, q.name) q.kind, q.name, q.digest, q.recorded_at
        FROM eventstream.schema_record AS q
        ORDER BY q.kind, q.name, q.recorded_at DESC
    ) AS r ON r.kind = o.kind AND r.name = o.name
    WHERE sha256(convert_to(o.definition, 'UTF8')) IS DISTINCT FROM r.digest;
    GET DIAGNOSTICS v_changed = ROW_COUNT;
    RETURN v_changed;
END;
$function$;

COMMENT ON FUNCTION eventstream.record_schema() IS 'Records what holds the rules as it is now, for audit_triggers; how much had changed. A migration calls it last. After an upgrade of PostgreSQL, which may print definitions in another way, call it once the audit has been read.';

REVOKE ALL ON FUNCTION eventstream.record_schema() FROM PUBLIC;
