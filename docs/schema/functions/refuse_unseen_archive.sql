-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_unseen_archive()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_last xid8 := pg_sequence_last_value('eventstream.archiving_seq'::regclass)::text::xid8;
    v_ignored text;
BEGIN
    -- What this transaction archived itself, it sees; and it looked here before it did.
    IF v_last IS NULL OR v_last = pg_current_xact_id_if_assigned()
        OR pg_visible_in_snapshot(v_last, pg_current_snapshot())
    THEN
        RETURN;
    END IF;
    BEGIN
        v_ignored := pg_xact_status(v_last);
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN; -- In the future: of the cluster that this store was restored from.
    END;
    RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
        MESSAGE = 'events were archived after the snapshot of this transaction was taken',
        HINT = 'Run the transaction again: a new snapshot sees where they are.';
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_unseen_archive() IS 'Raises 40001 if events were archived since the snapshot of this transaction was taken; returns otherwise. For transactions that keep one.';

REVOKE ALL ON FUNCTION eventstream.refuse_unseen_archive() FROM PUBLIC;
