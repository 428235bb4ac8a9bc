-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.position_of_sequence(p_sequence bigint, p_stable bigint DEFAULT NULL::bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    v_state eventstream.log_state;
    v_position bigint;
    v_sequence bigint;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF p_sequence < 1 THEN
        RETURN NULL;
    END IF;
    IF p_sequence > v_state.last_sequence THEN
        RETURN (
            SELECT e.position FROM eventstream.events AS e
            WHERE e.position > v_state.stable_position AND e.position <= p_stable
            ORDER BY e.position
            OFFSET p_sequence - v_state.last_sequence - 1 LIMIT 1);
    END IF;
    SELECT m.position, m.sequence INTO v_position, v_sequence
    FROM eventstream.log_marks AS m WHERE m.sequence < p_sequence ORDER BY m.sequence DESC, m.position DESC LIMIT 1;
    RETURN coalesce(v_position, 0) + p_sequence - coalesce(v_sequence, 0);
END;
$function$;

COMMENT ON FUNCTION eventstream.position_of_sequence(bigint,bigint) IS 'Position of the event with a sequence number of the whole log; NULL if there is none up to p_stable, by default the kept position.';

GRANT EXECUTE ON FUNCTION eventstream.position_of_sequence(bigint,bigint) TO PUBLIC;
