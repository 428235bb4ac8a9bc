-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.erasures_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF TG_RELID <> 'eventstream.erasures'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.erasures');
    END IF;
    IF EXISTS (
        SELECT FROM new_erasures AS n
        WHERE n.erased_by <> session_user
            OR NOT eventstream.is_now(n.erased_at)
            OR CASE n.place
                WHEN 'events' THEN (
                    SELECT eventstream.is_erased(e.payload, e.data, e.metadata)
                        AND e.event_id = n.event_id AND e.position = n.position AND e.xmin = x.xmin
                    FROM eventstream.events AS e
                    CROSS JOIN eventstream.erasures AS x
                    WHERE e.stream_id = n.stream_id AND e.version = n.version
                        AND x.stream_id = n.stream_id AND x.version = n.version AND x.place = n.place AND x.event_id = n.event_id
                )
                ELSE (
                    SELECT bool_and(eventstream.is_erased(d.payload, d.data, d.metadata))
                    FROM eventstream.discarded_events AS d
                    WHERE d.stream_id = n.stream_id AND d.version = n.version AND d.event_id = n.event_id
                )
            END IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'INSERT on eventstream.erasures refused: an erasure is recorded by what erases, as it is done',
            jsonb_build_object('table', 'eventstream.erasures', 'operation', 'INSERT'),
            'Use eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.erasures_gate() IS 'Trigger, after INSERT on erasures: demands that the same statement erased the event, by this user and now (ES004).';

REVOKE ALL ON FUNCTION eventstream.erasures_gate() FROM PUBLIC;
