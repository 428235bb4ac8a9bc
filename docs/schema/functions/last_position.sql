-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.last_position()
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
    SELECT CASE
        WHEN pg_is_in_recovery() THEN (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0)
        ELSE coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0)
    END
$function$;

COMMENT ON FUNCTION eventstream.last_position() IS 'Highest position that was drawn, whether its event is committed or not; on a standby, the stable position that log_state keeps.';

GRANT EXECUTE ON FUNCTION eventstream.last_position() TO PUBLIC;
