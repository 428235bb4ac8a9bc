-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.run_audit(p_full boolean DEFAULT false)
 RETURNS TABLE(check_name text, severity text, stream_id text, version bigint, detail jsonb)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_started_at timestamptz := clock_timestamp();
    v_state eventstream.log_state;
    v_seal record;
    v_erasure bigint;
    v_archiving bigint;
    v_since bigint;
    v_errors bigint := 0;
    v_warnings bigint := 0;
BEGIN
    -- Before anything is checked: what is numbered by now is seen by every statement below.
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    SELECT s.block, s.seal INTO v_seal FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1;
    SELECT coalesce(max(k.archiving), 0) INTO v_archiving FROM eventstream.archivings AS k;
    IF NOT current_setting('transaction_read_only')::boolean THEN
        v_erasure := eventstream.settled_erasure();
    END IF;
    IF p_full IS NOT TRUE THEN
        SELECT max(a.run) INTO v_since FROM eventstream.audit_runs AS a WHERE a.errors = 0;
    END IF;
    FOR check_name, severity, stream_id, version, detail IN
        SELECT a.check_name, a.severity, a.stream_id, a.version, a.detail
        FROM eventstream.audit_since(v_since) AS a WHERE v_since IS NOT NULL
        UNION ALL
        SELECT a.check_name, a.severity, a.stream_id, a.version, a.detail FROM eventstream.audit() AS a WHERE v_since IS NULL
        UNION ALL
        SELECT 'seals', 'error', b.stream_id, b.version,
            jsonb_build_object('block', s.block, 'position', b.event_position, 'problem', b.fault)
        FROM eventstream.seal_links AS s
        CROSS JOIN LATERAL eventstream.verify_block(s.block) AS b
        WHERE v_since IS NULL AND s.whole AND s.block < v_seal.block
    LOOP
        v_errors := v_errors + (severity = 'error')::integer;
        v_warnings := v_warnings + (severity <> 'error')::integer;
        RETURN NEXT;
    END LOOP;
    IF NOT current_setting('transaction_read_only')::boolean THEN
        INSERT INTO eventstream.audit_runs (since_run, started_at, position, last_sequence, errors, warnings, block, seal, erasure,
            archiving)
        VALUES (v_since, v_started_at, v_state.stable_position, v_state.last_sequence, v_errors, v_warnings, v_seal.block, v_seal.seal,
            v_erasure, v_archiving);
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.run_audit(boolean) IS 'Audits the store and puts that on record in audit_runs: all of it the first time, after that what came since the last one without an error, unless p_full. No row means clean. p_full also compares every sealed block with its events. Covers what advance_stable_position() has numbered: call that before, in a transaction of its own.';

REVOKE ALL ON FUNCTION eventstream.run_audit(boolean) FROM PUBLIC;
