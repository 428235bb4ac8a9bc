-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_leave()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT FROM old_events AS o
            WHERE (
                SELECT a *= o
                FROM eventstream.archived_events AS a
                WHERE a.stream_id = o.stream_id AND a.version = o.version
            ) IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'DELETE on eventstream.events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.events', 'operation', 'DELETE'),
            'Append a new event that corrects the old one.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_leave() IS 'Trigger, after DELETE on events: what leaves must be in archived_events by now, unchanged (ES004).';

REVOKE ALL ON FUNCTION eventstream.events_leave() FROM PUBLIC;
