-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.position_at_time(p_time timestamp with time zone, p_stable bigint DEFAULT NULL::bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    v_stable bigint := coalesce(p_stable, (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0));
    v_position bigint;
BEGIN
    SELECT m.position INTO v_position
    FROM eventstream.log_marks AS m
    WHERE m.recorded_at < p_time
    ORDER BY m.recorded_at DESC, m.position DESC LIMIT 1;
    SELECT e.position INTO v_position
    FROM eventstream.events AS e
    WHERE e.position > coalesce(v_position, 0) AND e.position <= v_stable AND e.recorded_at >= p_time
    ORDER BY e.position LIMIT 1;
    RETURN coalesce(v_position, v_stable + 1);
END;
$function$;

COMMENT ON FUNCTION eventstream.position_at_time(timestamp with time zone,bigint) IS 'Position of the first event recorded at p_time or later; the one after p_stable, by default the kept position, if there is none.';

GRANT EXECUTE ON FUNCTION eventstream.position_at_time(timestamp with time zone,bigint) TO PUBLIC;
