-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.discarded_events_erase_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF TG_RELID <> 'eventstream.discarded_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.discarded_events');
    END IF;
    -- An event may be discarded twice, and even after it was erased: one record of it is enough.
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT o.version, o.event_id, o.occurred_at, o.received_at, o.partition_id, o.stream_id, o.tenant_id, o.type,
                o.discarded_at, o.discarded_by, o.reason
            FROM old_events AS o
            EXCEPT ALL
            SELECT n.version, n.event_id, n.occurred_at, n.received_at, n.partition_id, n.stream_id, n.tenant_id, n.type,
                n.discarded_at, n.discarded_by, n.reason
            FROM new_events AS n)
        OR EXISTS (
            SELECT FROM new_events AS n
            WHERE NOT eventstream.is_erased(n.payload, n.data, n.metadata)
                OR (
                    SELECT true FROM eventstream.erasures AS x
                    WHERE x.stream_id = n.stream_id AND x.version = n.version AND x.place = 'discarded_events'
                        AND x.event_id = n.event_id
                ) IS NULL)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'UPDATE on eventstream.discarded_events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.discarded_events', 'operation', 'UPDATE'),
            'What was discarded stays on record; what it holds can be taken away: eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.discarded_events_erase_gate() IS 'Trigger, after UPDATE on discarded_events: demands that each row loses its content and nothing else, and is on record in erasures (ES004).';

REVOKE ALL ON FUNCTION eventstream.discarded_events_erase_gate() FROM PUBLIC;
