-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.archived_events_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    v_rows bigint;
    v_fit bigint;
    v_moved bigint;
    v_ignored text;
BEGIN
    IF TG_RELID <> 'eventstream.archived_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.archived_events');
    END IF;
    SELECT count(*), count(*) FILTER (WHERE
        (SELECT e *= n FROM ONLY eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = n.version)
        AND (
            SELECT true FROM ONLY eventstream.events AS e
            WHERE e.stream_id = n.stream_id AND e.version = n.version + 1
        ) AND (n.version = 2 OR (
            SELECT true FROM eventstream.archived_events AS a
            WHERE a.stream_id = n.stream_id AND a.version = n.version - 1
        )))
    INTO v_rows, v_fit
    FROM new_events AS n;
    IF v_rows = 0 THEN
        RETURN NULL;
    END IF;
    IF v_fit = v_rows THEN
        -- A lock until the end of the transaction, so that the number below is that of the last one that anybody can
        -- miss: whoever sees its work sees that of all before it.
        v_ignored := pg_advisory_xact_lock(1163097203, 0);
        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            PERFORM eventstream.refuse_unseen_archive();
        END IF;
        v_ignored := setval('eventstream.archiving_seq'::regclass, pg_current_xact_id()::text::bigint);
        DELETE FROM ONLY eventstream.events AS e
        USING new_events AS n
        WHERE e.stream_id = n.stream_id AND e.version = n.version;
        GET DIAGNOSTICS v_moved = ROW_COUNT;
        -- Under the lock, so that numbers are seen in their order.
        INSERT INTO eventstream.archivings (stream_id, from_version, to_version)
        SELECT n.stream_id, min(n.version), max(n.version) FROM new_events AS n GROUP BY n.stream_id;
    END IF;
    IF v_moved IS DISTINCT FROM v_rows THEN
        PERFORM eventstream.refuse(
            'ES004',
            'INSERT on eventstream.archived_events refused: events move there in order, as they are, and the first '
            'and the last of a stream stay',
            jsonb_build_object('table', 'eventstream.archived_events', 'operation', 'INSERT'),
            'Use eventstream.archive.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.archived_events_gate() IS 'Trigger, after INSERT on archived_events: demands that each row is an event of the middle of its stream, unchanged and next in order, and takes it out of events (ES004).';

REVOKE ALL ON FUNCTION eventstream.archived_events_gate() FROM PUBLIC;
