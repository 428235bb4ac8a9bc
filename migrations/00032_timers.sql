-- +goose Up
-- Timers, and the state of process managers (package eventstream/process). A timer is a row that waits until the
-- database's clock has passed its time; who handles it removes the row in the same transaction, so it fires exactly
-- once, whatever clocks do and whoever dies. The state of a process manager is a row for each key (an order, say),
-- written in the transaction in which the checkpoint moves.
-- Who needs both locks the state first and the timer second: the handler of an event cancels timers, and that of a
-- timer writes the state.
-- Locks: none, everything here is new.
-- +goose StatementBegin

CREATE TABLE eventstream.timers (
    next_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    parked_at timestamptz,
    timer_id uuid NOT NULL DEFAULT eventstream.uuid_v7(),
    tries integer NOT NULL DEFAULT 0,
    process text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL DEFAULT 'null',
    metadata jsonb,
    last_error text,
    CONSTRAINT timers_pkey PRIMARY KEY (process, key, name)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- In order of time. What is parked is not in it, and what has fired is gone: it holds what is still to come.
CREATE INDEX timers_next_idx ON eventstream.timers (process, next_at, key, name) WHERE parked_at IS NULL;

COMMENT ON TABLE eventstream.timers IS
    'What is to happen at a time, set by set_timer() and removed by the transaction that handles it.';
COMMENT ON COLUMN eventstream.timers.next_at IS
    'When it is tried: due_at, and after a try that failed the time of the next one.';
COMMENT ON COLUMN eventstream.timers.due_at IS 'When it is due, by the database''s clock.';
COMMENT ON COLUMN eventstream.timers.set_at IS 'When it was set.';
COMMENT ON COLUMN eventstream.timers.parked_at IS
    'When it was put aside, since its handler failed too often; NULL while it waits.';
COMMENT ON COLUMN eventstream.timers.timer_id IS
    'Identifies the setting: a timer that is set anew has another one. Ids of events that its handler appends are '
    'derived from it.';
COMMENT ON COLUMN eventstream.timers.tries IS 'How often its handler failed on it, as far as that counts.';
COMMENT ON COLUMN eventstream.timers.process IS 'Whose timer it is: the name under which its handler runs.';
COMMENT ON COLUMN eventstream.timers.key IS 'What it is about, as the id of an order.';
COMMENT ON COLUMN eventstream.timers.name IS 'Which timer of that key it is.';
COMMENT ON COLUMN eventstream.timers.payload IS 'What its handler gets.';
COMMENT ON COLUMN eventstream.timers.metadata IS 'Where the setting comes from, as a trace; NULL if nobody said.';
COMMENT ON COLUMN eventstream.timers.last_error IS 'What its handler said last; NULL while it has not failed.';
COMMENT ON INDEX eventstream.timers_next_idx IS 'The timers of a process that are still to come, in order of time.';

CREATE TABLE eventstream.process_states (
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    process text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    state jsonb NOT NULL,
    CONSTRAINT process_states_pkey PRIMARY KEY (process, key)
) WITH (fillfactor = 80);

COMMENT ON TABLE eventstream.process_states IS 'What process managers know of each key that they are not done with.';
COMMENT ON COLUMN eventstream.process_states.created_at IS 'When the process began for this key.';
COMMENT ON COLUMN eventstream.process_states.updated_at IS 'When the state changed last.';
COMMENT ON COLUMN eventstream.process_states.process IS 'The process manager: the name of its subscription.';
COMMENT ON COLUMN eventstream.process_states.key IS 'What the state is about, as the id of an order.';
COMMENT ON COLUMN eventstream.process_states.state IS 'What the process manager knows.';

CREATE FUNCTION eventstream.refuse_timer(
    p_process text,
    p_key text,
    p_name text,
    p_due_at timestamptz,
    p_payload jsonb,
    p_metadata jsonb
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.check_name('timer process', p_process);
    PERFORM eventstream.check_name('timer key', p_key);
    PERFORM eventstream.check_name('timer name', p_name);
    IF (eventstream.is_time(p_due_at)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer time', p_due_at::text, 'a time in the years 1 to 9999');
    ELSIF (eventstream.is_json(p_payload)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer payload', eventstream.json_fault(p_payload),
            'JSON of at most 64000000 bytes as text and 1000 levels');
    ELSIF p_metadata IS NOT NULL AND (jsonb_typeof(p_metadata) = 'object' AND eventstream.is_json(p_metadata)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer metadata', eventstream.json_fault(p_metadata),
            'a JSON object of at most 64000000 bytes as text and 1000 levels, or NULL');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_timer IS 'Raises ES008 for a value that a timer cannot have; returns otherwise.';

CREATE FUNCTION eventstream.set_timer(
    p_process text,
    p_key text,
    p_name text,
    p_due_at timestamptz DEFAULT NULL,
    p_after interval DEFAULT NULL,
    p_payload jsonb DEFAULT 'null',
    p_timer_id uuid DEFAULT NULL,
    p_metadata jsonb DEFAULT NULL
) RETURNS timestamptz
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_due_at timestamptz := coalesce(p_due_at, v_now + p_after);
BEGIN
    PERFORM eventstream.refuse_timer(p_process, p_key, p_name, v_due_at, p_payload, p_metadata);
    INSERT INTO eventstream.timers AS t (process, key, name, due_at, next_at, set_at, payload, metadata, timer_id)
    VALUES (p_process, p_key, p_name, v_due_at, v_due_at, v_now, p_payload, p_metadata,
        coalesce(p_timer_id, eventstream.uuid_v7()))
    -- A timer that is set again is another one from then on. While somebody handles it, this waits.
    ON CONFLICT ON CONSTRAINT timers_pkey DO UPDATE
    SET due_at = EXCLUDED.due_at, next_at = EXCLUDED.next_at, payload = EXCLUDED.payload, metadata = EXCLUDED.metadata,
        timer_id = EXCLUDED.timer_id, set_at = EXCLUDED.set_at, tries = 0, parked_at = NULL, last_error = NULL;
    RETURN v_due_at;
END;
$$;

COMMENT ON FUNCTION eventstream.set_timer IS
    'Sets a timer, at a time or after an interval from now on, and returns when it is due. One of this name takes its '
    'place.';

CREATE FUNCTION eventstream.cancel_timers(p_process text, p_key text, p_name text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_cancelled bigint;
BEGIN
    DELETE FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.key = p_key AND (p_name IS NULL OR t.name = p_name);
    GET DIAGNOSTICS v_cancelled = ROW_COUNT;
    RETURN v_cancelled;
END;
$$;

COMMENT ON FUNCTION eventstream.cancel_timers IS
    'Removes a timer, or all of a key, and returns how many there were. Waits for one that is being handled: it has '
    'fired, or is still there and removed.';

-- The clock is read once: a condition on clock_timestamp() itself could not use the index.
CREATE FUNCTION eventstream.due_timers(
    p_process text,
    p_after_at timestamptz,
    p_after_key text,
    p_after_name text,
    p_limit integer
) RETURNS TABLE (next_at timestamptz, key text, name text, failed boolean)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    SELECT t.next_at, t.key, t.name, t.last_error IS NOT NULL
    FROM eventstream.timers AS t
    WHERE t.process = p_process AND t.parked_at IS NULL AND t.next_at <= v_now
        AND (t.next_at, t.key, t.name) > (p_after_at, p_after_key COLLATE "C", p_after_name COLLATE "C")
    ORDER BY t.next_at, t.key, t.name
    LIMIT p_limit;
END;
$$;

COMMENT ON FUNCTION eventstream.due_timers IS
    'Timers of a process whose time has come, behind one of them, in order of time, and which of them failed before. '
    'Locks none.';

-- Whoever takes timers has them until the end of the transaction, and others pass them over. The states of their keys
-- come first, in order, as they do for who handles events, so that the two never wait for each other. The settings
-- leave the planner the primary keys.
CREATE FUNCTION eventstream.take_timers(p_process text, p_keys text[], p_names text[]) RETURNS TABLE (
    key text,
    name text,
    timer_id uuid,
    due_at timestamptz,
    set_at timestamptz,
    taken_at timestamptz,
    tries integer,
    payload jsonb,
    metadata jsonb
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    r record;
BEGIN
    PERFORM FROM eventstream.process_states AS s
    WHERE s.process = p_process AND s.key = ANY (p_keys)
    ORDER BY s.key
    FOR UPDATE;
    -- One after the other, since the plan of a join may begin with all timers of the process.
    FOR r IN SELECT u.key, u.name FROM unnest(p_keys, p_names) AS u (key, name) LOOP
        PERFORM FROM eventstream.timers AS t
        WHERE t.process = p_process AND t.key = r.key AND t.name = r.name
            -- It may have been set anew, or parked, since it was seen. By num_nulls, which no plan can use: with IS NULL one
            -- could go through the index of what is to come.
            AND num_nulls(t.parked_at) = 1 AND t.next_at <= clock_timestamp()
        FOR UPDATE SKIP LOCKED;
        IF FOUND THEN
            RETURN QUERY
            DELETE FROM eventstream.timers AS t
            WHERE t.process = p_process AND t.key = r.key AND t.name = r.name
            RETURNING t.key, t.name, t.timer_id, t.due_at, t.set_at, clock_timestamp(), t.tries, t.payload, t.metadata;
        END IF;
    END LOOP;
END;
$$;

COMMENT ON FUNCTION eventstream.take_timers IS
    'Takes timers out, for who handles them in the same transaction; no row for one that is not due, gone, or in other '
    'hands.';

CREATE FUNCTION eventstream.fail_timer(
    p_process text,
    p_key text,
    p_name text,
    p_timer_id uuid,
    p_error text,
    p_tries integer,
    p_pause interval,
    p_park boolean
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstream.timers AS t
    SET tries = t.tries + p_tries,
        last_error = p_error,
        next_at = clock_timestamp() + p_pause,
        parked_at = CASE WHEN p_park THEN clock_timestamp() END
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name
        -- Set anew meanwhile, it has not failed.
        AND t.timer_id = p_timer_id AND t.parked_at IS NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.fail_timer IS
    'Notes that the handler of a timer failed: it is tried again after a pause, or parked.';

CREATE FUNCTION eventstream.retry_timer(p_process text, p_key text, p_name text) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstream.timers AS t
    SET parked_at = NULL, tries = 0, next_at = clock_timestamp()
    WHERE t.process = p_process AND t.key = p_key AND t.name = p_name AND t.parked_at IS NOT NULL;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION eventstream.retry_timer IS
    'Lets a timer that is parked be tried again, and returns whether there was one.';

-- In order of the key, so that two who lock several never wait for each other.
CREATE FUNCTION eventstream.lock_process_states(p_process text, p_keys text[]) RETURNS TABLE (key text, state jsonb)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.key, s.state
    FROM eventstream.process_states AS s
    WHERE s.process = p_process AND s.key = ANY (p_keys)
    ORDER BY s.key
    FOR UPDATE;
END;
$$;

COMMENT ON FUNCTION eventstream.lock_process_states IS
    'What a process manager knows of these keys, held until the end of the transaction. A key without a state has no '
    'row.';

CREATE FUNCTION eventstream.save_process_states(
    p_process text,
    p_new_keys text[],
    p_new_states jsonb[],
    p_keys text[],
    p_states jsonb[],
    p_ended text[]
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_inserted bigint;
BEGIN
    DELETE FROM eventstream.process_states AS s WHERE s.process = p_process AND s.key = ANY (p_ended);
    UPDATE eventstream.process_states AS s
    SET state = u.state, updated_at = clock_timestamp()
    FROM unnest(p_keys, p_states) AS u (key, state)
    WHERE s.process = p_process AND s.key = u.key;
    INSERT INTO eventstream.process_states (process, key, state)
    SELECT p_process, u.key, u.state
    FROM unnest(p_new_keys, p_new_states) AS u (key, state)
    ORDER BY u.key
    -- There was nothing to lock when this transaction looked; whoever began the process meanwhile, in another shard,
    -- decided first, and this decision is to be made anew.
    ON CONFLICT ON CONSTRAINT process_states_pkey DO NOTHING;
    GET DIAGNOSTICS v_inserted = ROW_COUNT;
    IF v_inserted <> cardinality(p_new_keys) THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('another transaction began process %L for the same key', p_process),
            DETAIL = jsonb_build_object('process', p_process, 'new', cardinality(p_new_keys), 'inserted', v_inserted)::text,
            HINT = 'Handle the same events again.';
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.save_process_states IS
    'Writes what a process manager knows of keys that it has locked: new ones, changed ones, and those that it is done '
    'with. 40001 if somebody else began one of the new ones meanwhile.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_timer, eventstream.set_timer, eventstream.cancel_timers, eventstream.take_timers,
    eventstream.fail_timer, eventstream.retry_timer, eventstream.lock_process_states, eventstream.save_process_states
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.save_process_states, eventstream.lock_process_states, eventstream.retry_timer, eventstream.fail_timer,
    eventstream.take_timers, eventstream.due_timers, eventstream.cancel_timers, eventstream.set_timer,
    eventstream.refuse_timer;
DROP TABLE eventstream.process_states;
DROP TABLE eventstream.timers;
