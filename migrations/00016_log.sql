-- +goose Up
-- The stable position: the highest position below which nothing can still appear. Whoever reads the log up to it misses
-- nothing, and waits for nobody but the writers of events.
-- Locks: none at install. At run time advance_stable_position() locks the row of log_state, and nobody waits for that.
--
-- Settings like enable_seqscan = off: plans are kept, and one made while the tables were empty would read them whole
-- for ever.
-- +goose StatementBegin

-- The order of the two reads is the point. A writer locks before it draws: whatever was drawn by the time of the first
-- read has its lock in the second one, or has ended and is visible to every later statement. The other way round, a
-- writer could lock and draw between the two reads, and the sequence's value would cover its position.
CREATE FUNCTION eventstream.stable_position() RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_last bigint;
    v_key bigint;
BEGIN
    -- A standby sees no locks, and a transaction with one snapshot for all its statements would be told of positions
    -- whose events it cannot see.
    IF pg_is_in_recovery() OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0);
    END IF;
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    -- Keys of in_flight_key: 'ES', then the 48 bits of a position. Whether a lock is granted or awaited does not
    -- matter.
    SELECT min(((k.classid::bigint & 65535) << 32) | k.objid::bigint) INTO v_key
    FROM pg_catalog.pg_locks AS k
    WHERE k.locktype = 'advisory'
        AND k.classid::bigint >> 16 = 17747
        AND k.objsubid = 1
        AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database());
    RETURN least(v_last, v_key);
END;
$$;

COMMENT ON FUNCTION eventstream.stable_position IS
    'Highest position below which nothing can still appear. Read events up to it in a later statement, never in the '
    'same one. On a standby, and in a transaction of one snapshot: the position that log_state keeps.';

CREATE FUNCTION eventstream.last_position() RETURNS bigint
LANGUAGE sql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN pg_is_in_recovery() THEN (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0)
        ELSE coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0)
    END
$$;

COMMENT ON FUNCTION eventstream.last_position IS
    'Highest position that was drawn, whether its event is committed or not; on a standby, the stable position that '
    'log_state keeps.';

-- Partitions get their marks once a thousand events have none: finding where each partition stands costs more than
-- moving the stable position.
CREATE FUNCTION eventstream.mark_partitions(p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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
            -- What has been removed since keeps its number.
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
    -- An event that was removed has its mark already.
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO NOTHING;
END;
$$;

COMMENT ON FUNCTION eventstream.mark_partitions IS
    'Writes the marks of partitions for the events above p_from, up to p_to. Called by advance_stable_position().';

-- Whoever keeps the stable position serves all readers of the log: a stream that somebody holds, or that cannot move (a
-- trigger of the user's refuses its event), is left to its next append, which waits or fails by itself.
CREATE FUNCTION eventstream.advance_ready(p_from bigint, p_to bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_stream_id text;
BEGIN
    -- Also what became ready behind a position that was passed already, as by an ingest that committed late: among the
    -- first that wait.
    FOR v_stream_id IN
        (
            SELECT DISTINCT e.stream_id
            FROM eventstream.events AS e
            JOIN eventstream.pending_events AS w ON w.stream_id = e.stream_id AND w.version = e.version + 1
            WHERE e.position > p_from AND e.position <= p_to
            LIMIT 100
        )
        UNION
        SELECT w.stream_id
        FROM (
            SELECT p.stream_id, p.version FROM eventstream.pending_events AS p ORDER BY p.stream_id, p.version LIMIT 1000
        ) AS w
        WHERE w.version = 1
            OR (SELECT true FROM eventstream.events AS e WHERE e.stream_id = w.stream_id AND e.version = w.version - 1)
            OR (SELECT true FROM eventstream.events AS e WHERE e.stream_id = w.stream_id AND e.version = w.version)
        LIMIT 100
    LOOP
        BEGIN
            CONTINUE WHEN NOT pg_try_advisory_xact_lock(1163097202, eventstream.stream_key(v_stream_id));
            PERFORM eventstream.advance_watermark(v_stream_id);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'what waits of stream % stays: %', quote_literal(v_stream_id), SQLERRM;
        END;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION eventstream.advance_ready IS
    'advance_watermark() for up to 100 streams in which something waits for nothing: those of events above p_from, up '
    'to p_to, and those of the first 1000 events that wait. Called by advance_stable_position().';

CREATE FUNCTION eventstream.advance_stable_position(p_min_age interval DEFAULT '0') RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_began timestamptz := clock_timestamp();
    v_time interval := '1 min';
    v_step_began timestamptz;
    v_step bigint := 2000;
    v_stable bigint := eventstream.stable_position();
    v_state eventstream.log_state;
    v_until bigint;
    v_to bigint;
    v_events bigint;
    v_last bigint;
    v_newest timestamptz;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND NOT pg_is_in_recovery() THEN
        -- Not silently: where it is the default, a job that calls this would never do anything.
        RAISE WARNING 'the stable position is not kept: the transaction has one snapshot for all of its statements'
            USING HINT = 'Call advance_stable_position() in a transaction with ISOLATION LEVEL READ COMMITTED.';
    END IF;
    IF v_stable <= v_state.stable_position
        -- A time in the future dates from before the clock was set back, and means nothing.
        OR v_state.updated_at BETWEEN clock_timestamp() - p_min_age AND clock_timestamp()
        OR current_setting('transaction_read_only')::boolean
    THEN
        RETURN greatest(v_stable, v_state.stable_position);
    END IF;
    -- Never waits: whoever holds the row is writing what this call would write.
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN v_stable;
    END IF;
    -- In steps, as many as time allows, so that whatever a call has done is kept: a call that its caller's
    -- statement_timeout ends has done nothing, and the next one would meet the same.
    IF current_setting('statement_timeout')::interval > '0' THEN
        v_time := least(v_time, current_setting('statement_timeout')::interval / 4);
    END IF;
    v_until := least(v_stable, v_state.stable_position + 200000);
    WHILE v_state.stable_position < v_until LOOP
        v_step_began := clock_timestamp();
        v_to := least(v_until, v_state.stable_position + v_step);
        WITH fresh AS (
            SELECT
                e.position,
                v_state.last_sequence + row_number() OVER w AS sequence,
                lag(e.position, 1, v_state.last_position) OVER w AS previous,
                greatest(v_state.last_recorded_at, max(e.recorded_at) OVER w) AS newest,
                greatest(
                    v_state.last_recorded_at,
                    max(e.recorded_at) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                ) AS newest_before
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
        -- An event that fills a hole past ingest() leaves what waited behind it ready.
        IF EXISTS (SELECT FROM eventstream.pending_events) THEN
            PERFORM eventstream.advance_ready(v_state.stable_position, v_to);
        END IF;
        v_state.stable_position := v_to;
        v_state.last_position := coalesce(v_last, v_state.last_position);
        v_state.last_sequence := v_state.last_sequence + v_events;
        v_state.last_recorded_at := coalesce(v_newest, v_state.last_recorded_at);
        IF v_state.last_sequence - v_state.marked_sequence >= 1024 THEN
            PERFORM eventstream.mark_partitions(v_state.marked_position, v_to);
            v_state.marked_position := v_to;
            v_state.marked_sequence := v_state.last_sequence;
        END IF;
        -- A time before the beginning: the clock was set back.
        EXIT WHEN clock_timestamp() NOT BETWEEN v_began AND v_began + v_time;
        IF clock_timestamp() - v_step_began < v_time / 8 THEN
            v_step := 2 * v_step;
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

COMMENT ON FUNCTION eventstream.advance_stable_position IS
    'Returns the stable position, and keeps it in log_state unless that was done less than p_min_age ago or another '
    'session is doing it. Numbers what has become stable, at most 200,000 positions per call, and for a quarter of '
    'statement_timeout. Call it in a READ COMMITTED transaction of its own: until that ends, nobody else moves '
    'log_state.';

REVOKE EXECUTE ON FUNCTION
    eventstream.mark_partitions, eventstream.advance_ready, eventstream.advance_stable_position
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.advance_stable_position, eventstream.advance_ready, eventstream.mark_partitions,
    eventstream.last_position, eventstream.stable_position;
