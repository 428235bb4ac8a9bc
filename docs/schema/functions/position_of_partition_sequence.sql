-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.position_of_partition_sequence(p_partition_id integer, p_sequence bigint, p_stable bigint DEFAULT NULL::bigint)
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
    v_sequence bigint;
BEGIN
    IF p_sequence < 1 THEN
        RETURN NULL;
    END IF;
    SELECT m.position, m.sequence INTO v_position, v_sequence
    FROM eventstream.partition_marks AS m
    WHERE m.partition_id = p_partition_id AND m.sequence <= p_sequence
    ORDER BY m.sequence DESC LIMIT 1;
    IF v_sequence = p_sequence THEN
        RETURN v_position;
    END IF;
    -- Skips at most 127 events, apart from those that have no mark yet.
    RETURN (
        SELECT e.position FROM eventstream.events AS e
        WHERE (e.partition_id, e.position) > (p_partition_id, coalesce(v_position, 0))
            AND (e.partition_id, e.position) <= (p_partition_id, v_stable)
        ORDER BY e.partition_id, e.position
        OFFSET p_sequence - coalesce(v_sequence, 0) - 1 LIMIT 1);
END;
$function$;

COMMENT ON FUNCTION eventstream.position_of_partition_sequence(integer,bigint,bigint) IS 'Position of the event with a sequence number of a partition; NULL if there is none up to p_stable, by default the kept position.';

GRANT EXECUTE ON FUNCTION eventstream.position_of_partition_sequence(integer,bigint,bigint) TO PUBLIC;
