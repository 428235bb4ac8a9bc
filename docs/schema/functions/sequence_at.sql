-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.sequence_at(p_position bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_state eventstream.log_state;
    v_position bigint;
    v_sequence bigint;
    v_next bigint;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF p_position > v_state.stable_position THEN
        RETURN v_state.last_sequence + (
            SELECT count(*) FROM eventstream.events AS e
            WHERE e.position > v_state.stable_position AND e.position <= p_position);
    END IF;
    SELECT m.position, m.sequence INTO v_position, v_sequence
    FROM eventstream.log_marks AS m WHERE m.position <= p_position ORDER BY m.position DESC LIMIT 1;
    SELECT m.sequence INTO v_next
    FROM eventstream.log_marks AS m WHERE m.position > p_position ORDER BY m.position LIMIT 1;
    -- In a hole, numbers stay where they were until its end.
    RETURN least(
        coalesce(v_sequence, 0) + greatest(p_position, 0) - coalesce(v_position, 0),
        coalesce(v_next, v_state.last_sequence));
END;
$function$;

COMMENT ON FUNCTION eventstream.sequence_at(bigint) IS 'How many events the log has at or below a stable position: of an event''s position, its sequence number in the whole log.';

GRANT EXECUTE ON FUNCTION eventstream.sequence_at(bigint) TO PUBLIC;
