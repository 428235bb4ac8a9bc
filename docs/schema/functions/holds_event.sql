-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.holds_event(p_position bigint, p_event_id uuid)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    RETURN EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = p_position AND e.event_id = p_event_id)
        -- One that was removed (retention) left a mark.
        OR EXISTS (SELECT FROM eventstream.partition_marks AS m WHERE m.removed AND m.position = p_position);
END;
$function$;

COMMENT ON FUNCTION eventstream.holds_event(bigint,uuid) IS 'Whether the log has this event at this position, or had one that was removed since.';

GRANT EXECUTE ON FUNCTION eventstream.holds_event(bigint,uuid) TO PUBLIC;
