-- +goose Up
-- Gapless sequence numbers. Positions have holes; a consumer that wants to see for itself that it missed nothing counts 1, 2, 3 ...,
-- in the whole log and in each partition. The numbers are counted over the stable prefix of the log and never change. They are not
-- stored with the events, which nobody updates: sparse marks make them addressable in both directions.
-- Locks: none, everything here is new. A store that holds events already gets its marks from advance_stable_position(), which does up to
-- 200,000 positions a call.

CREATE TABLE eventstream.log_marks (
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT log_marks_pkey PRIMARY KEY (position)
);

CREATE INDEX log_marks_sequence_idx ON eventstream.log_marks (sequence, position);
CREATE INDEX log_marks_recorded_at_idx ON eventstream.log_marks (recorded_at, position);

COMMENT ON TABLE eventstream.log_marks IS
    'Sequence numbers of the whole log: a mark at the end of each hole, and at every 1024th event. From a mark to the next one, or to the '
    'next hole, positions and sequence numbers rise in step.';
COMMENT ON COLUMN eventstream.log_marks.position IS 'A position: the last one of a hole, or that of an event.';
COMMENT ON COLUMN eventstream.log_marks.sequence IS 'How many events there are at or below it.';
COMMENT ON COLUMN eventstream.log_marks.recorded_at IS 'Highest recorded_at of those events.';
COMMENT ON INDEX eventstream.log_marks_sequence_idx IS 'From a sequence number to a position.';
COMMENT ON INDEX eventstream.log_marks_recorded_at_idx IS 'From a time to a position.';

CREATE TABLE eventstream.partition_marks (
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    partition_id integer NOT NULL,
    removed boolean NOT NULL DEFAULT false,
    CONSTRAINT partition_marks_pkey PRIMARY KEY (partition_id, position)
);

CREATE INDEX partition_marks_sequence_idx ON eventstream.partition_marks (partition_id, sequence);
CREATE INDEX partition_marks_removed_idx ON eventstream.partition_marks (position) WHERE removed;

COMMENT ON TABLE eventstream.partition_marks IS
    'Sequence numbers of each partition: a mark at every 128th event, and one in the place of each event that was removed.';
COMMENT ON COLUMN eventstream.partition_marks.position IS 'Position of an event of the partition.';
COMMENT ON COLUMN eventstream.partition_marks.sequence IS 'Sequence number of that event in its partition.';
COMMENT ON COLUMN eventstream.partition_marks.partition_id IS 'The partition.';
COMMENT ON COLUMN eventstream.partition_marks.removed IS 'Whether the event is gone (retention): its number stays taken.';
COMMENT ON INDEX eventstream.partition_marks_sequence_idx IS 'From a sequence number to a position.';
COMMENT ON INDEX eventstream.partition_marks_removed_idx IS 'What was removed from a range of the log.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.marks_frozen() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES004',
        format('%s on eventstream.%s refused: sequence numbers never change', TG_OP, TG_TABLE_NAME),
        jsonb_build_object('table', 'eventstream.' || TG_TABLE_NAME, 'operation', TG_OP),
        'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.marks_frozen() IS 'Trigger: refuses to change or remove marks (ES004).';

CREATE TRIGGER log_marks_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.log_marks
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.marks_frozen();

-- A mark that is there already may turn into that of a removed event, and nothing else.
CREATE TRIGGER partition_marks_frozen
    BEFORE DELETE OR TRUNCATE ON eventstream.partition_marks
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.marks_frozen();

CREATE TRIGGER partition_marks_update
    BEFORE UPDATE ON eventstream.partition_marks
    FOR EACH ROW
    WHEN (NOT NEW.removed OR (NEW.partition_id, NEW.position, NEW.sequence) <> (OLD.partition_id, OLD.position, OLD.sequence))
    EXECUTE FUNCTION eventstream.marks_frozen();

COMMENT ON TRIGGER log_marks_frozen ON eventstream.log_marks IS 'Sequence numbers never change.';
COMMENT ON TRIGGER partition_marks_frozen ON eventstream.partition_marks IS 'Sequence numbers never change.';
COMMENT ON TRIGGER partition_marks_update ON eventstream.partition_marks IS 'Sequence numbers never change.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.sequence_at(p_position bigint) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = ''
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
    RETURN least(coalesce(v_sequence, 0) + greatest(p_position, 0) - coalesce(v_position, 0), coalesce(v_next, v_state.last_sequence));
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.sequence_at(bigint) IS
    'How many events the log has at or below a stable position: of an event''s position, its sequence number in the whole log.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.partition_sequence_at(p_partition_id integer, p_position bigint) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = ''
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
    -- Pairs, which no other index than the partition's log can serve: the planner also likes to go through the log of all partitions.
    RETURN coalesce(v_sequence, 0) + (
        SELECT count(*) FROM eventstream.events AS e
        WHERE (e.partition_id, e.position) > (p_partition_id, coalesce(v_position, 0))
            AND (e.partition_id, e.position) <= (p_partition_id, p_position));
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.partition_sequence_at(integer, bigint) IS
    'How many events a partition has at or below a stable position: of an event''s position, its sequence number in the partition.';

-- A reader numbers a page of events at a time: by these marks in the whole log, and by these counts in partitions. It says what it knows from
-- its last page, so that what has no marks yet is counted once, however many pages it takes.
-- +goose StatementBegin
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
SET search_path = ''
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
    -- What is stable by now and not marked yet is counted from what is kept, or from what the reader knows: below it, if it reads upwards,
    -- or above it.
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
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.log_marks_between(bigint, bigint, bigint, bigint) IS
    'Marks of the whole log that number the events from p_from to a stable position p_to, in order: an event''s sequence number is that of '
    'the last mark below it plus its distance. p_known_position: an event outside of that range whose number the caller knows. removed: '
    'whether events of that range are gone.';

-- +goose StatementBegin
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
SET search_path = ''
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
        -- From the last mark, or from the item before, whichever is nearer. What was removed has a mark, so none is left out.
        SELECT
            a.*,
            m.sequence AS mark_sequence,
            count(m.sequence) OVER w AS marks,
            (
                SELECT count(*) FROM eventstream.events AS e
                WHERE (e.partition_id, e.position) > (a.partition_id, coalesce(m.position, a.previous))
                    AND (e.partition_id, e.position) <= (a.partition_id, a.position)
            ) AS events
        FROM asked AS a
        LEFT JOIN LATERAL (
            SELECT k.position, k.sequence
            FROM eventstream.partition_marks AS k
            WHERE k.partition_id = a.partition_id AND k.position <= a.position AND k.position >= a.previous
            ORDER BY k.position DESC LIMIT 1
        ) AS m ON true
        WINDOW w AS (PARTITION BY a.partition_id ORDER BY a.position)
    )
    SELECT c.item, (coalesce(max(c.mark_sequence) OVER r, c.known_sequence) + sum(c.events) OVER (r ORDER BY c.position))::bigint
    FROM counted AS c
    WINDOW r AS (PARTITION BY c.partition_id, c.marks)
    ORDER BY c.item;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.partition_sequences(integer[], bigint[], bigint[], bigint[]) IS
    'partition_sequence_at() of many at once, in their order. p_known_positions: for each of them, an event of its partition below it whose '
    'number the caller knows; NULL or 0 for none.';

-- +goose Down
DROP FUNCTION eventstream.partition_sequences(integer[], bigint[], bigint[], bigint[]);
DROP FUNCTION eventstream.log_marks_between(bigint, bigint, bigint, bigint);
DROP FUNCTION eventstream.partition_sequence_at(integer, bigint);
DROP FUNCTION eventstream.sequence_at(bigint);
DROP TABLE eventstream.partition_marks;
DROP TABLE eventstream.log_marks;
DROP FUNCTION eventstream.marks_frozen();
