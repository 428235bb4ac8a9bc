-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.park_events(p_subscription text, p_positions bigint[], p_tries integer, p_error text)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    INSERT INTO eventstream.parked_events (subscription, position, stream_id, version, tries, error)
    SELECT p_subscription, e.position, e.stream_id, e.version, p_tries, p_error
    FROM eventstream.events AS e
    WHERE e.position = ANY (p_positions)
    -- Parked already, and tried again.
    ON CONFLICT ON CONSTRAINT parked_events_pkey DO UPDATE
    SET tries = parked_events.tries + EXCLUDED.tries, error = EXCLUDED.error;
END;
$function$;

COMMENT ON FUNCTION eventstream.park_events(text,bigint[],integer,text) IS 'Puts events aside for a subscription; for one that is parked already, adds the tries.';

REVOKE ALL ON FUNCTION eventstream.park_events(text,bigint[],integer,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.park_events(text,bigint[],integer,text) TO eventstream_subscriber;
