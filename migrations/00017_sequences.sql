-- +goose Up
-- Gapless sequence numbers. Positions have holes; a consumer that wants to see for itself that it missed nothing counts
-- 1, 2, 3 ..., in the whole log and in each partition. The numbers are counted over the stable prefix of the log and
-- never change. They are not stored with the events, which nobody updates: sparse marks make them addressable in both
-- directions.
-- Locks: none at install. At run time keep_sequences() locks the row of log_state.
--
-- Settings like enable_seqscan = off: plans are kept, and one made while the tables were empty would read them whole
-- for ever.
-- +goose StatementBegin

CREATE FUNCTION eventstream.sequence_at(p_position bigint) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.sequence_at IS
    'How many events the log has at or below a stable position: of an event''s position, its sequence number in the '
    'whole log.';

-- Compared as pairs, which only the index on (partition_id, position) serves: with plain conditions the planner may
-- walk the log of all partitions. But for an upper bound that is a pair, PostgreSQL walks that index to the end of the
-- partition. So events are read a few at a time, and more each time, until one is beyond the bound.
CREATE FUNCTION eventstream.count_in_partition(
    p_partition_id integer,
    p_after bigint,
    p_until bigint,
    p_at_once integer
) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    v_after bigint := p_after;
    v_limit integer := greatest(p_at_once, 1);
    v_found bigint;
    v_events bigint := 0;
BEGIN
    LOOP
        SELECT count(*) FILTER (WHERE n.position <= p_until), max(n.position) INTO v_found, v_after
        FROM (
            SELECT e.position FROM eventstream.events AS e
            WHERE (e.partition_id, e.position) > (p_partition_id, v_after)
                AND (e.partition_id, e.position) <= (p_partition_id, 9223372036854775807)
            ORDER BY e.partition_id, e.position
            LIMIT v_limit
        ) AS n;
        v_events := v_events + v_found;
        EXIT WHEN v_found < v_limit;
        v_limit := least(2 * v_limit, 1000000);
    END LOOP;
    RETURN v_events;
END;
$$;

COMMENT ON FUNCTION eventstream.count_in_partition IS
    'How many events a partition has above p_after, up to p_until. It reads about twice as many at most, or p_at_once, '
    'which is how many it reads first.';

CREATE FUNCTION eventstream.partition_sequence_at(p_partition_id integer, p_position bigint) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_position bigint;
    v_sequence bigint;
BEGIN
    SELECT m.position, m.sequence INTO v_position, v_sequence
    FROM eventstream.partition_marks AS m
    WHERE m.partition_id = p_partition_id AND m.position <= p_position
    ORDER BY m.position DESC LIMIT 1;
    RETURN coalesce(v_sequence, 0)
        + eventstream.count_in_partition(p_partition_id, coalesce(v_position, 0), p_position, 128);
END;
$$;

COMMENT ON FUNCTION eventstream.partition_sequence_at IS
    'How many events a partition has at or below a stable position: of an event''s position, its sequence number in '
    'the partition.';

-- A reader numbers a page of events at a time: by these marks in the whole log, and by these counts in partitions. It
-- passes what it knows from its last page, so that what has no marks yet is counted once, however many pages it takes.
CREATE FUNCTION eventstream.log_marks_between(
    p_from bigint,
    p_to bigint,
    p_known_position bigint DEFAULT 0,
    p_known_sequence bigint DEFAULT 0
) RETURNS TABLE (
    mark_position bigint,
    mark_sequence bigint,
    removed boolean
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.log_marks_between IS
    'Marks of the whole log that number the events from p_from to a stable position p_to, in order: an event''s '
    'sequence number is that of the last mark below it plus its distance. p_known_position: an event outside that '
    'range whose number the caller knows. removed: whether events of that range are gone.';

CREATE FUNCTION eventstream.partition_sequences(
    p_partition_ids integer[],
    p_positions bigint[],
    p_known_positions bigint[] DEFAULT NULL,
    p_known_sequences bigint[] DEFAULT NULL
) RETURNS TABLE (
    item integer,
    sequence bigint
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY
    WITH asked AS (
        SELECT
            u.item::integer AS item,
            u.partition_id,
            u.position,
            coalesce(u.known_sequence, 0) AS known_sequence,
            coalesce(lag(u.position) OVER w, u.known_position, 0) AS previous
        FROM unnest(p_partition_ids, p_positions, p_known_positions, p_known_sequences)
            WITH ORDINALITY AS u (partition_id, position, known_position, known_sequence, item)
        WINDOW w AS (PARTITION BY u.partition_id ORDER BY u.position)
    ), counted AS (
        -- From the last mark, or from the item before, whichever is nearer. What was removed has a mark, so none is
        -- left out.
        SELECT
            a.*,
            m.sequence AS mark_sequence,
            count(m.sequence) OVER w AS marks,
            -- The item before is near, as a rule; the mark is up to 128 events away.
            eventstream.count_in_partition(
                a.partition_id, coalesce(m.position, a.previous), a.position, CASE WHEN m.position IS NULL THEN 2 ELSE 16 END) AS events
        FROM asked AS a
        LEFT JOIN LATERAL (
            SELECT k.position, k.sequence
            FROM eventstream.partition_marks AS k
            WHERE k.partition_id = a.partition_id AND k.position <= a.position AND k.position >= a.previous
            ORDER BY k.position DESC LIMIT 1
        ) AS m ON true
        WINDOW w AS (PARTITION BY a.partition_id ORDER BY a.position)
    )
    SELECT
        c.item,
        (coalesce(max(c.mark_sequence) OVER r, c.known_sequence) + sum(c.events) OVER (r ORDER BY c.position))::bigint
    FROM counted AS c
    WINDOW r AS (PARTITION BY c.partition_id, c.marks)
    ORDER BY c.item;
END;
$$;

COMMENT ON FUNCTION eventstream.partition_sequences IS
    'partition_sequence_at() of many at once, in their order. p_known_positions: for each of them, an event of its '
    'partition below it whose number the caller knows; NULL or 0 for none.';

-- From a number or a time to a position. p_stable is a stable position that an earlier statement read, and defaults to
-- the one that log_state keeps; above that, events are counted.
CREATE FUNCTION eventstream.position_of_sequence(p_sequence bigint, p_stable bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.position_of_sequence IS
    'Position of the event with a sequence number of the whole log; NULL if there is none up to p_stable, by default '
    'the kept position.';

CREATE FUNCTION eventstream.position_of_partition_sequence(
    p_partition_id integer,
    p_sequence bigint,
    p_stable bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.position_of_partition_sequence IS
    'Position of the event with a sequence number of a partition; NULL if there is none up to p_stable, by default the '
    'kept position.';

-- Whatever removes events (retention) calls this first, in the same transaction: a mark takes the place of each, and
-- nobody is renumbered. The numbers of the whole log come from positions and need no help.
CREATE FUNCTION eventstream.keep_sequences(p_positions bigint[]) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stable bigint;
    v_kept bigint;
BEGIN
    -- Locked, so that a concurrent advance_stable_position() has written its marks for these events, or has not begun.
    SELECT l.stable_position INTO v_stable FROM eventstream.log_state AS l WHERE l.lane = 0 FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM unnest(p_positions) AS u (position) WHERE (u.position <= v_stable) IS NOT TRUE) THEN
        PERFORM eventstream.refuse(
            'ES013',
            format('an event above the stable position %s has no sequence number to keep', v_stable),
            jsonb_build_object('stable_position', v_stable,
                'position', (SELECT max(u.position) FROM unnest(p_positions) AS u (position))),
            'Call eventstream.advance_stable_position() first, and remove nothing above it.');
    END IF;
    INSERT INTO eventstream.partition_marks (position, sequence, partition_id, removed)
    SELECT e.position, s.sequence, e.partition_id, true
    FROM eventstream.events AS e
    JOIN LATERAL (SELECT eventstream.partition_sequence_at(e.partition_id, e.position) AS sequence) AS s ON true
    WHERE e.position = ANY (p_positions)
    -- An event that has a mark already keeps it, now as that of a removed event.
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO UPDATE SET removed = true;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    RETURN v_kept;
END;
$$;

COMMENT ON FUNCTION eventstream.keep_sequences IS
    'Keeps the sequence numbers of events that are about to be removed, so that no other event is renumbered. Returns '
    'their number.';

REVOKE EXECUTE ON FUNCTION eventstream.keep_sequences FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.keep_sequences, eventstream.position_of_partition_sequence, eventstream.position_of_sequence,
    eventstream.partition_sequences, eventstream.log_marks_between, eventstream.partition_sequence_at,
    eventstream.count_in_partition, eventstream.sequence_at;
