-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit_since(p_run bigint)
 RETURNS TABLE(check_name text, severity text, stream_id text, version bigint, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    r eventstream.audit_runs;
BEGIN
    SELECT a.* INTO r FROM eventstream.audit_runs AS a WHERE a.run = p_run;
    RETURN QUERY
    SELECT o.check_name, o.severity, o.stream_id, o.version, o.detail FROM eventstream.audit_objects() AS o
    UNION ALL
    SELECT e.check_name, 'error', e.stream_id, e.version, e.detail FROM eventstream.audit_events_after(r.position) AS e
    UNION ALL
    SELECT 'sequences', 'error', NULL, NULL, n.detail FROM eventstream.audit_numbers_after(r.position, r.last_sequence) AS n
    UNION ALL
    SELECT 'clocks', 'warning', c.stream_id, c.version, to_jsonb(c) FROM eventstream.clock_steps(r.position) AS c
    UNION ALL
    SELECT 'seals', 'error', NULL, NULL, to_jsonb(s) FROM eventstream.audit_seals AS s WHERE s.block >= coalesce(r.block, 1)
    UNION ALL
    SELECT 'seals', 'error', NULL, NULL,
        jsonb_build_object('block', r.block, 'problem', 'not the seal that a clean audit saw')
    WHERE r.seal IS NOT NULL
        AND r.seal IS DISTINCT FROM (SELECT s.seal FROM eventstream.seals AS s WHERE s.block = r.block)
    UNION ALL
    -- The block that was the newest one is read again: it is what the clean audit knew best.
    SELECT 'seals', 'error', b.stream_id, b.version,
        jsonb_build_object('block', s.block, 'position', b.event_position, 'problem', b.fault)
    FROM eventstream.seals AS s
    CROSS JOIN LATERAL eventstream.verify_block(s.block) AS b
    WHERE s.block >= coalesce(r.block, 1)
    UNION ALL
    SELECT m.check_name, 'error', m.stream_id, m.version, m.detail
    FROM eventstream.audit_moved_since(r.archiving, r.erasure) AS m;
END;
$function$;

COMMENT ON FUNCTION eventstream.audit_since(bigint) IS 'What audit() finds, as far as it was written, archived or erased after an audit on record, and all that does not grow with the log.';

REVOKE ALL ON FUNCTION eventstream.audit_since(bigint) FROM PUBLIC;
