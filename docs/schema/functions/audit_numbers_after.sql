-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.audit_numbers_after(p_position bigint, p_sequence bigint)
 RETURNS TABLE(problem text, detail jsonb)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_state eventstream.log_state;
    v_events bigint;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF v_state.stable_position < p_position OR eventstream.sequence_at(p_position) <> p_sequence THEN
        problem := 'sequence numbers that a clean audit saw are others now';
        detail := jsonb_build_object('position', p_position, 'sequence', p_sequence, 'is', eventstream.sequence_at(p_position),
            'problem', problem);
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT count(*) INTO v_events
    FROM eventstream.events AS e
    WHERE e.position > p_position AND e.position <= v_state.stable_position;
    SELECT v_events + count(*) INTO v_events
    FROM eventstream.partition_marks AS g
    WHERE g.removed AND g.position > p_position AND g.position <= v_state.stable_position
        AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position);
    problem := 'sequence numbers and events differ in number';
    IF v_events <> v_state.last_sequence - p_sequence THEN
        detail := jsonb_build_object('position', p_position, 'sequence', p_sequence, 'next_position', v_state.stable_position,
            'next_sequence', v_state.last_sequence, 'events', v_events, 'problem', problem);
        RETURN NEXT;
    END IF;
    RETURN QUERY
    SELECT problem, jsonb_build_object('partition_id', k.id, 'position', m.before, 'sequence', m.before_sequence,
        'next_position', m.position, 'next_sequence', m.sequence, 'events', c.events, 'problem', problem)
    FROM generate_series(0, eventstream.partition_count() - 1) AS k (id)
    CROSS JOIN LATERAL (
        SELECT g.position, g.sequence, lag(g.position) OVER w AS before, lag(g.sequence) OVER w AS before_sequence
        FROM eventstream.partition_marks AS g
        WHERE g.partition_id = k.id AND g.position >= coalesce((
            SELECT max(f.position) FROM eventstream.partition_marks AS f WHERE f.partition_id = k.id AND f.position <= p_position), 0)
        WINDOW w AS (ORDER BY g.position)
    ) AS m
    CROSS JOIN LATERAL (
        SELECT eventstream.count_in_partition(k.id, coalesce(m.before, 0), m.position, 128) + (
            SELECT count(*) FROM eventstream.partition_marks AS g
            WHERE g.removed AND g.partition_id = k.id AND g.position > coalesce(m.before, 0) AND g.position <= m.position
                AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position)
        ) AS events
    ) AS c
    WHERE m.position > p_position AND c.events <> m.sequence - coalesce(m.before_sequence, 0);
END;
$function$;

COMMENT ON FUNCTION eventstream.audit_numbers_after(bigint,bigint) IS 'Whether what was numbered after a position is there, as audit_sequences says of the whole log. Called by audit_since().';

REVOKE ALL ON FUNCTION eventstream.audit_numbers_after(bigint,bigint) FROM PUBLIC;
