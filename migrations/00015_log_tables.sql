-- +goose Up
-- The tables of the log: how far it is stable, and the marks that make gapless sequence numbers addressable.
-- Locks: none, everything here is new.
-- +goose StatementBegin

-- The stable position is kept in a table so that a standby, which sees no locks, can read up to it, and so can a
-- transaction whose snapshot is older than a look at the locks. Every event up to the kept position was committed
-- before that position was, so whoever sees one sees the other.
-- One row that is updated all the time: the low fillfactor leaves its new versions room in the same page (HOT).
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
    'How far the log is stable, one row per lane. advance_stable_position() moves it forward.';
COMMENT ON COLUMN eventstream.log_state.lane IS 'The lane; 0, the only one on a single node.';
COMMENT ON COLUMN eventstream.log_state.stable_position IS
    'No event at or below it can still appear. A statement that reads it may read events up to it.';
COMMENT ON COLUMN eventstream.log_state.last_position IS
    'Position of the last event at or below stable_position; 0 while the log is empty.';
COMMENT ON COLUMN eventstream.log_state.last_sequence IS
    'Sequence number of that event in the whole log, which is the number of events up to it.';
COMMENT ON COLUMN eventstream.log_state.marked_position IS 'Partitions have their marks up to here (partition_marks).';
COMMENT ON COLUMN eventstream.log_state.marked_sequence IS
    'Sequence number, in the whole log, up to which partitions have their marks.';
COMMENT ON COLUMN eventstream.log_state.last_recorded_at IS
    'Highest recorded_at of the events at or below stable_position.';
COMMENT ON COLUMN eventstream.log_state.updated_at IS 'When stable_position moved last, by the database''s clock.';

INSERT INTO eventstream.log_state DEFAULT VALUES;

CREATE FUNCTION eventstream.log_state_forward() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
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

COMMENT ON FUNCTION eventstream.log_state_forward IS
    'Trigger: refuses to move the stable position back, or to remove it (ES004).';

CREATE TRIGGER log_state_forward
    BEFORE UPDATE OR DELETE ON eventstream.log_state
    FOR EACH ROW EXECUTE FUNCTION eventstream.log_state_forward();

CREATE TRIGGER log_state_truncate
    BEFORE TRUNCATE ON eventstream.log_state
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.log_state_forward();

COMMENT ON TRIGGER log_state_forward ON eventstream.log_state IS 'The stable position only moves forward.';
COMMENT ON TRIGGER log_state_truncate ON eventstream.log_state IS 'The stable position is never removed.';

CREATE TABLE eventstream.log_marks (
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT log_marks_pkey PRIMARY KEY (position)
);

CREATE INDEX log_marks_sequence_idx ON eventstream.log_marks (sequence, position);
CREATE INDEX log_marks_recorded_at_idx ON eventstream.log_marks (recorded_at, position);

COMMENT ON TABLE eventstream.log_marks IS
    'Sequence numbers of the whole log: a mark at the end of each hole, and at every 1024th event. From a mark to the '
    'next one, or to the next hole, positions and sequence numbers rise in step.';
COMMENT ON COLUMN eventstream.log_marks.position IS 'A position: the last one of a hole, or that of an event.';
COMMENT ON COLUMN eventstream.log_marks.sequence IS 'Number of events at or below it.';
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
    'Sequence numbers of each partition: a mark at every 128th event, and one in the place of each event that was '
    'removed.';
COMMENT ON COLUMN eventstream.partition_marks.position IS 'Position of an event of the partition.';
COMMENT ON COLUMN eventstream.partition_marks.sequence IS 'Sequence number of that event in its partition.';
COMMENT ON COLUMN eventstream.partition_marks.partition_id IS 'The partition.';
COMMENT ON COLUMN eventstream.partition_marks.removed IS
    'Whether the event is gone (retention): its number stays taken.';
COMMENT ON INDEX eventstream.partition_marks_sequence_idx IS 'From a sequence number to a position.';
COMMENT ON INDEX eventstream.partition_marks_removed_idx IS 'What was removed from a range of the log.';

CREATE TRIGGER log_marks_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.log_marks
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'sequence numbers never change',
        'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');

CREATE TRIGGER partition_marks_frozen
    BEFORE DELETE OR TRUNCATE ON eventstream.partition_marks
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'sequence numbers never change',
        'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');

-- A mark may become that of a removed event; nothing else about it ever changes.
CREATE TRIGGER partition_marks_update
    BEFORE UPDATE ON eventstream.partition_marks
    FOR EACH ROW
    WHEN (NOT NEW.removed
        OR (NEW.partition_id, NEW.position, NEW.sequence) <> (OLD.partition_id, OLD.position, OLD.sequence))
    EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'sequence numbers never change',
        'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');

COMMENT ON TRIGGER log_marks_frozen ON eventstream.log_marks IS 'Sequence numbers never change.';
COMMENT ON TRIGGER partition_marks_frozen ON eventstream.partition_marks IS 'Sequence numbers never change.';
COMMENT ON TRIGGER partition_marks_update ON eventstream.partition_marks IS
    'A mark changes only when its event is removed.';

REVOKE EXECUTE ON FUNCTION eventstream.log_state_forward FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP TABLE eventstream.partition_marks;
DROP TABLE eventstream.log_marks;
DROP TABLE eventstream.log_state;
DROP FUNCTION eventstream.log_state_forward;
