-- +goose Up
-- Moving the stable position forward: whoever polls does it, and numbers what became stable.
-- Locks: none at install. At run time the row of log_state, and nobody waits for it.

-- Marks for partitions, once a thousand events have none: finding where each partition stands costs more than moving on.
-- +goose StatementBegin
CREATE FUNCTION eventstream.mark_partitions(p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
AS $$
BEGIN
    WITH numbered AS (
        SELECT
            p.position,
            p.partition_id,
            row_number() OVER (PARTITION BY p.partition_id ORDER BY p.position) AS number
        FROM (
            SELECT e.position, e.partition_id::integer AS partition_id
            FROM eventstream.events AS e
            WHERE e.position > p_from AND e.position <= p_to
            UNION ALL
            -- What was removed meanwhile has its number all the same.
            SELECT m.position, m.partition_id
            FROM eventstream.partition_marks AS m
            WHERE m.removed AND m.position > p_from AND m.position <= p_to
        ) AS p
    ), base AS MATERIALIZED (
        SELECT d.partition_id, eventstream.partition_sequence_at(d.partition_id, p_from) AS sequence
        FROM (SELECT DISTINCT n.partition_id FROM numbered AS n) AS d
    )
    INSERT INTO eventstream.partition_marks (position, sequence, partition_id)
    SELECT n.position, b.sequence + n.number, n.partition_id
    FROM numbered AS n
    JOIN base AS b ON b.partition_id = n.partition_id
    WHERE (b.sequence + n.number) % 128 = 0
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO NOTHING;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.mark_partitions(bigint, bigint) IS
    'Writes the marks of partitions for the events above p_from, up to p_to. Called by advance_stable_position().';

-- +goose StatementBegin
CREATE FUNCTION eventstream.advance_stable_position(p_min_age interval DEFAULT '0') RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
AS $$
DECLARE
    v_stable bigint := eventstream.stable_position();
    v_state eventstream.log_state;
    v_to bigint;
    v_events bigint;
    v_last bigint;
    v_newest timestamptz;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF v_stable <= v_state.stable_position
        -- A time still to come is from before the clock was set back, and says nothing.
        OR v_state.updated_at BETWEEN clock_timestamp() - p_min_age AND clock_timestamp()
        OR current_setting('transaction_read_only')::boolean
    THEN
        RETURN greatest(v_stable, v_state.stable_position);
    END IF;
    -- Whoever comes second leaves it to the first: what it would write is being written.
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN v_stable;
    END IF;
    -- In bounded steps, and not too many of them in one transaction.
    FOR v_step IN 1..2 LOOP
        EXIT WHEN v_state.stable_position >= v_stable;
        v_to := least(v_stable, v_state.stable_position + 100000);
        WITH fresh AS (
            SELECT
                e.position,
                v_state.last_sequence + row_number() OVER w AS sequence,
                lag(e.position, 1, v_state.last_position) OVER w AS previous,
                greatest(v_state.last_recorded_at, max(e.recorded_at) OVER w) AS newest,
                greatest(v_state.last_recorded_at, max(e.recorded_at) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
                    AS newest_before
            FROM eventstream.events AS e
            WHERE e.position > v_state.stable_position AND e.position <= v_to
            WINDOW w AS (ORDER BY e.position)
        ), marked AS (
            INSERT INTO eventstream.log_marks (position, sequence, recorded_at)
            SELECT f.position - 1, f.sequence - 1, f.newest_before FROM fresh AS f WHERE f.position > f.previous + 1
            UNION ALL
            SELECT f.position, f.sequence, f.newest FROM fresh AS f WHERE f.sequence % 1024 = 0
        )
        SELECT count(*), max(f.position), max(f.newest) INTO v_events, v_last, v_newest FROM fresh AS f;
        v_state.stable_position := v_to;
        v_state.last_position := coalesce(v_last, v_state.last_position);
        v_state.last_sequence := v_state.last_sequence + v_events;
        v_state.last_recorded_at := coalesce(v_newest, v_state.last_recorded_at);
        IF v_state.last_sequence - v_state.marked_sequence >= 1024 THEN
            PERFORM eventstream.mark_partitions(v_state.marked_position, v_to);
            v_state.marked_position := v_to;
            v_state.marked_sequence := v_state.last_sequence;
        END IF;
    END LOOP;
    UPDATE eventstream.log_state AS l
    SET stable_position = v_state.stable_position,
        last_position = v_state.last_position,
        last_sequence = v_state.last_sequence,
        marked_position = v_state.marked_position,
        marked_sequence = v_state.marked_sequence,
        last_recorded_at = v_state.last_recorded_at,
        updated_at = clock_timestamp()
    WHERE l.lane = v_state.lane AND l.stable_position < v_state.stable_position;
    RETURN greatest(v_stable, v_state.stable_position);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.advance_stable_position(interval) IS
    'Returns the stable position, and keeps it in log_state unless that was done less than p_min_age ago or is being done by another '
    'session. Numbers what became stable, at most 200,000 positions a call. Call it in a transaction of its own: until that ends, nobody '
    'else moves log_state.';

REVOKE EXECUTE ON FUNCTION eventstream.advance_stable_position(interval) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.mark_partitions(bigint, bigint) FROM PUBLIC;

-- From a number or a time to a position. p_stable is a stable position that an earlier statement read, and defaults to the one that is
-- kept; above what is kept, events are counted.
-- +goose StatementBegin
CREATE FUNCTION eventstream.position_of_sequence(p_sequence bigint, p_stable bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = ''
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
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.position_of_sequence(bigint, bigint) IS
    'Position of the event with a sequence number of the whole log; NULL if there is none up to p_stable, by default the kept position.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.position_of_partition_sequence(
    p_partition_id integer,
    p_sequence bigint,
    p_stable bigint DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = ''
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
    -- A skip of at most 127 events, but for those that have no mark yet.
    RETURN (
        SELECT e.position FROM eventstream.events AS e
        WHERE (e.partition_id, e.position) > (p_partition_id, coalesce(v_position, 0))
            AND (e.partition_id, e.position) <= (p_partition_id, v_stable)
        ORDER BY e.partition_id, e.position
        OFFSET p_sequence - coalesce(v_sequence, 0) - 1 LIMIT 1);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.position_of_partition_sequence(integer, bigint, bigint) IS
    'Position of the event with a sequence number of a partition; NULL if there is none up to p_stable, by default the kept position.';

-- Times do not rise with positions, since writers overlap; the highest time so far does.
-- +goose StatementBegin
CREATE FUNCTION eventstream.position_at_time(p_time timestamptz, p_stable bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
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
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.position_at_time(timestamptz, bigint) IS
    'Position of the first event recorded at p_time or later; the one after p_stable, by default the kept position, if there is none.';

-- Whatever removes events (retention) calls this first, in the same transaction: a mark takes the place of each, and nobody is renumbered.
-- The numbers of the whole log come from positions and need no help.
-- +goose StatementBegin
CREATE FUNCTION eventstream.keep_sequences(p_positions bigint[]) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    v_stable bigint;
    v_kept bigint;
BEGIN
    -- Locked: marks that advance_stable_position() is writing for the same events must be there, or still to come.
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
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO UPDATE SET removed = true;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    RETURN v_kept;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.keep_sequences(bigint[]) IS
    'Keeps the sequence numbers of events that are about to be removed, so that no other event is renumbered; how many there were.';

REVOKE EXECUTE ON FUNCTION eventstream.keep_sequences(bigint[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION eventstream.keep_sequences(bigint[]);
DROP FUNCTION eventstream.position_at_time(timestamptz, bigint);
DROP FUNCTION eventstream.position_of_partition_sequence(integer, bigint, bigint);
DROP FUNCTION eventstream.position_of_sequence(bigint, bigint);
DROP FUNCTION eventstream.advance_stable_position(interval);
DROP FUNCTION eventstream.mark_partitions(bigint, bigint);
