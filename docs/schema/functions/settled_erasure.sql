-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.settled_erasure()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_settled bigint := coalesce((SELECT a.erasure FROM eventstream.audit_runs AS a ORDER BY a.run DESC LIMIT 1), 0);
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN v_settled;
    END IF;
    BEGIN
        LOCK TABLE eventstream.erasures IN SHARE MODE NOWAIT;
        v_settled := greatest(v_settled, (SELECT max(r.erasure) FROM eventstream.erasures AS r));
        RAISE EXCEPTION USING ERRCODE = 'raise_exception';
    EXCEPTION WHEN lock_not_available OR raise_exception THEN
        RETURN v_settled;
    END;
END;
$function$;

COMMENT ON FUNCTION eventstream.settled_erasure() IS 'The highest number of an erasure below which none can appear any more. Called by run_audit().';

REVOKE ALL ON FUNCTION eventstream.settled_erasure() FROM PUBLIC;
