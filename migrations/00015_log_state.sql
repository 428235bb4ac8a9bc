-- +goose Up
-- The stable position: the highest position below which nothing can still appear. Whoever reads the log up to it misses nothing, and
-- waits for nobody but the writers of events.
-- Locks: none, everything here is new.

-- Kept, so that a standby, which sees no locks, and a transaction whose snapshot is older than a look at the locks can read up to it:
-- every event up to the kept position was committed before the position was, so whoever sees one sees the other.
CREATE TABLE eventstream.log_state (
    -- One lane on a single node; each node of a distributed install has its own order and stable position.
    lane integer NOT NULL DEFAULT 0,
    stable_position bigint NOT NULL DEFAULT 0,
    last_position bigint NOT NULL DEFAULT 0,
    last_sequence bigint NOT NULL DEFAULT 0,
    marked_position bigint NOT NULL DEFAULT 0,
    marked_sequence bigint NOT NULL DEFAULT 0,
    last_recorded_at timestamptz NOT NULL DEFAULT '-infinity',
    updated_at timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT log_state_pkey PRIMARY KEY (lane)
) WITH (fillfactor = 10);

COMMENT ON TABLE eventstream.log_state IS
    'How far the log is stable, one row a lane: moved forward by advance_stable_position(), by whoever polls.';
COMMENT ON COLUMN eventstream.log_state.lane IS 'The lane; 0, the only one on a single node.';
COMMENT ON COLUMN eventstream.log_state.stable_position IS
    'No event at or below it can still appear. A statement that reads it may read events up to it.';
COMMENT ON COLUMN eventstream.log_state.last_position IS 'Position of the last event at or below stable_position; 0 while there is none.';
COMMENT ON COLUMN eventstream.log_state.last_sequence IS 'Sequence number of that event in the whole log: how many there are.';
COMMENT ON COLUMN eventstream.log_state.marked_position IS 'Partitions have their marks up to here (partition_marks).';
COMMENT ON COLUMN eventstream.log_state.marked_sequence IS 'Sequence number, in the whole log, up to which partitions have their marks.';
COMMENT ON COLUMN eventstream.log_state.last_recorded_at IS 'Highest recorded_at of the events at or below stable_position.';
COMMENT ON COLUMN eventstream.log_state.updated_at IS 'When stable_position moved last, by the database''s clock.';

INSERT INTO eventstream.log_state DEFAULT VALUES;

-- +goose StatementBegin
CREATE FUNCTION eventstream.log_state_forward() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.lane = OLD.lane AND NEW.stable_position >= OLD.stable_position
        AND NEW.last_sequence >= OLD.last_sequence AND NEW.last_position >= OLD.last_position
        AND NEW.marked_position >= OLD.marked_position AND NEW.marked_sequence >= OLD.marked_sequence
        AND NEW.last_recorded_at >= OLD.last_recorded_at
    THEN
        RETURN NEW;
    END IF;
    PERFORM eventstream.refuse(
        'ES004',
        format('%s on eventstream.log_state refused: the stable position only moves forward', TG_OP),
        jsonb_build_object('table', 'eventstream.log_state', 'operation', TG_OP,
            'stable_position', CASE WHEN TG_OP <> 'TRUNCATE' THEN OLD.stable_position END,
            'new_position', CASE WHEN TG_OP = 'UPDATE' THEN NEW.stable_position END),
        'Call eventstream.advance_stable_position().');
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.log_state_forward() IS 'Trigger: refuses to move the stable position back, or to remove it (ES004).';

CREATE TRIGGER log_state_forward
    BEFORE UPDATE OR DELETE ON eventstream.log_state
    FOR EACH ROW EXECUTE FUNCTION eventstream.log_state_forward();

CREATE TRIGGER log_state_truncate
    BEFORE TRUNCATE ON eventstream.log_state
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.log_state_forward();

COMMENT ON TRIGGER log_state_forward ON eventstream.log_state IS 'The stable position only moves forward.';
COMMENT ON TRIGGER log_state_truncate ON eventstream.log_state IS 'The stable position is never removed.';

-- The order of the two reads is the point. A writer locks before it draws: whatever was drawn by the time of the first read has its
-- lock in the second one, or has ended and is visible to every later statement. The other way round, a writer could lock and draw
-- after the look at the locks, and the sequence's value would cover its position.
-- +goose StatementBegin
CREATE FUNCTION eventstream.stable_position() RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    v_last bigint;
    v_key bigint;
BEGIN
    -- A standby sees no locks. A transaction with one snapshot for all its statements would be told of positions whose events it
    -- cannot see.
    IF pg_is_in_recovery() OR current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0);
    END IF;
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    -- Keys of in_flight_key: 'ES', then the 48 bits of a position. Whether a lock is granted or awaited does not matter.
    SELECT min(((k.classid::bigint & 65535) << 32) | k.objid::bigint) INTO v_key
    FROM pg_catalog.pg_locks AS k
    WHERE k.locktype = 'advisory'
        AND k.classid::bigint >> 16 = 17747
        AND k.objsubid = 1
        AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database());
    RETURN least(v_last, v_key);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.stable_position() IS
    'Highest position below which nothing can still appear. Read events up to it in a later statement, never in the same one. On a standby, '
    'and in a transaction of one snapshot: the position that log_state keeps.';

-- +goose Down
DROP FUNCTION eventstream.stable_position();
DROP TABLE eventstream.log_state;
DROP FUNCTION eventstream.log_state_forward();
