-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_old_snapshot()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'another writer appended to a stream after the snapshot of this transaction was taken',
            HINT = 'Run the transaction again: a new snapshot sees what was appended meanwhile.';
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_old_snapshot() IS 'After a lost race: raises 40001 in REPEATABLE READ and SERIALIZABLE; returns otherwise.';

REVOKE ALL ON FUNCTION eventstream.refuse_old_snapshot() FROM PUBLIC;
