-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.pending_events_leave()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.pending_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.pending_events');
    END IF;
    SELECT o.stream_id, o.version, o.event_id INTO r
    FROM old_events AS o
    WHERE (
            SELECT true FROM eventstream.events AS e
            WHERE e.stream_id = o.stream_id AND e.version = o.version AND e.event_id = o.event_id
        ) IS NULL
        AND (
            SELECT true FROM eventstream.discarded_events AS d
            WHERE d.stream_id = o.stream_id AND d.version = o.version AND d.event_id = o.event_id
            LIMIT 1
        ) IS NULL
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES004',
            format('DELETE on eventstream.pending_events refused: version %s of stream %L is neither in events nor discarded',
                r.version, r.stream_id),
            jsonb_build_object('table', 'eventstream.pending_events', 'operation', 'DELETE', 'stream_id', r.stream_id,
                'version', r.version, 'event_id', r.event_id),
            'Use eventstream.advance_watermark, or eventstream.discard_pending for a hole that nothing will fill.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.pending_events_leave() IS 'Trigger, after DELETE on pending_events: what leaves must be in events by now, or on record in discarded_events (ES004).';

REVOKE ALL ON FUNCTION eventstream.pending_events_leave() FROM PUBLIC;
