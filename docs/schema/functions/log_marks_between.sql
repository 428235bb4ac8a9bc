-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.log_marks_between(p_from bigint, p_to bigint, p_known_position bigint DEFAULT 0, p_known_sequence bigint DEFAULT 0)
 RETURNS TABLE(mark_position bigint, mark_sequence bigint, removed boolean)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_state eventstream.log_state;
    v_above bigint;
    v_last bigint;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    removed := EXISTS (
        SELECT FROM eventstream.partition_marks AS m WHERE m.removed AND m.position >= p_from AND m.position <= p_to);
    SELECT m.position, m.sequence INTO mark_position, mark_sequence
    FROM eventstream.log_marks AS m WHERE m.position < p_from ORDER BY m.position DESC LIMIT 1;
    mark_position := coalesce(mark_position, 0);
    mark_sequence := coalesce(mark_sequence, 0);
    RETURN NEXT;
    RETURN QUERY
    SELECT m.position, m.sequence, removed
    FROM eventstream.log_marks AS m WHERE m.position >= p_from AND m.position <= p_to ORDER BY m.position;
    IF p_to <= v_state.stable_position THEN
        RETURN;
    END IF;
    -- What has become stable and has no marks yet is counted from what log_state keeps, or from what the reader knows:
    -- an event below the page if it reads upwards, above it if it reads downwards.
    IF p_known_position BETWEEN v_state.stable_position AND p_from THEN
        v_above := p_known_position;
        v_last := p_known_position;
        mark_sequence := p_known_sequence;
    ELSIF p_known_position >= p_to AND p_from > v_state.stable_position THEN
        v_above := p_from - 1;
        v_last := p_from - 1;
        mark_sequence := p_known_sequence - (
            SELECT count(*) FROM eventstream.events AS e WHERE e.position >= p_from AND e.position <= p_known_position);
    ELSE
        v_above := v_state.stable_position;
        v_last := v_state.last_position;
        mark_sequence := v_state.last_sequence;
    END IF;
    IF v_above = v_last THEN
        mark_position := v_above;
        RETURN NEXT;
    END IF;
    -- Holes are found as advance_stable_position() will find them.
    RETURN QUERY
    SELECT t.position - 1, mark_sequence + t.n - 1, removed
    FROM (
        SELECT e.position, row_number() OVER w AS n, lag(e.position, 1, v_last) OVER w AS previous
        FROM eventstream.events AS e
        WHERE e.position > v_above AND e.position <= p_to
        WINDOW w AS (ORDER BY e.position)
    ) AS t
    WHERE t.position > t.previous + 1
    ORDER BY t.position;
END;
$function$;

COMMENT ON FUNCTION eventstream.log_marks_between(bigint,bigint,bigint,bigint) IS 'Marks of the whole log that number the events from p_from to a stable position p_to, in order: an event''s sequence number is that of the last mark below it plus its distance. p_known_position: an event outside that range whose number the caller knows. removed: whether events of that range are gone.';

GRANT EXECUTE ON FUNCTION eventstream.log_marks_between(bigint,bigint,bigint,bigint) TO PUBLIC;
