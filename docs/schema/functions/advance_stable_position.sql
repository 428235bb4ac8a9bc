-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.advance_stable_position(p_min_age interval DEFAULT '00:00:00'::interval)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.advance_stable_position(interval) IS 'Returns the stable position, and keeps it in log_state unless that was done less than p_min_age ago or another session is doing it. Numbers what has become stable, at most 200,000 positions per call, and for a quarter of statement_timeout. Call it in a READ COMMITTED transaction of its own: until that ends, nobody else moves log_state.';

REVOKE ALL ON FUNCTION eventstream.advance_stable_position(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.advance_stable_position(interval) TO eventstream_subscriber;
