-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_erase_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT o.position, o.version, o.event_id, o.occurred_at, o.recorded_at, o.partition_id, o.stream_id, o.tenant_id, o.type
            FROM old_events AS o
            EXCEPT
            SELECT n.position, n.version, n.event_id, n.occurred_at, n.recorded_at, n.partition_id, n.stream_id, n.tenant_id, n.type
            FROM new_events AS n)
        OR EXISTS (SELECT FROM new_events AS n WHERE NOT eventstream.is_erased(n.payload, n.data, n.metadata))
        OR EXISTS (
            SELECT FROM old_events AS o
            WHERE (
                SELECT x.position = o.position AND x.xmin = e.xmin
                    AND x.payload_digest = sha256(convert_to(o.payload::text, 'UTF8'))
                    AND x.data_digest IS NOT DISTINCT FROM sha256(o.data)
                    AND x.metadata_digest = sha256(convert_to(o.metadata::text, 'UTF8'))
                FROM eventstream.erasures AS x
                CROSS JOIN eventstream.events AS e
                WHERE x.stream_id = o.stream_id AND x.version = o.version AND x.place = 'events' AND x.event_id = o.event_id
                    AND e.stream_id = o.stream_id AND e.version = o.version
            ) IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'UPDATE on eventstream.events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.events', 'operation', 'UPDATE'),
            'Append a new event that corrects the old one; or take away what it holds: eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_erase_gate() IS 'Trigger, after UPDATE on events: demands that each row loses its content and nothing else, and is on record in erasures by the same statement (ES004).';

REVOKE ALL ON FUNCTION eventstream.events_erase_gate() FROM PUBLIC;
