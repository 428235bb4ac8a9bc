-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.log_state (
    lane integer DEFAULT 0 NOT NULL,
    stable_position bigint DEFAULT 0 NOT NULL,
    last_position bigint DEFAULT 0 NOT NULL,
    last_sequence bigint DEFAULT 0 NOT NULL,
    marked_position bigint DEFAULT 0 NOT NULL,
    marked_sequence bigint DEFAULT 0 NOT NULL,
    last_recorded_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    updated_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT log_state_pkey PRIMARY KEY (lane)
);

ALTER TABLE eventstream.log_state SET (fillfactor=10);

COMMENT ON TABLE eventstream.log_state IS 'How far the log is stable, one row per lane. advance_stable_position() moves it forward.';
COMMENT ON COLUMN eventstream.log_state.lane IS 'The lane; 0, the only one on a single node.';
COMMENT ON COLUMN eventstream.log_state.stable_position IS 'No event at or below it can still appear. A statement that reads it may read events up to it.';
COMMENT ON COLUMN eventstream.log_state.last_position IS 'Position of the last event at or below stable_position; 0 while the log is empty.';
COMMENT ON COLUMN eventstream.log_state.last_sequence IS 'Sequence number of that event in the whole log, which is the number of events up to it.';
COMMENT ON COLUMN eventstream.log_state.marked_position IS 'Partitions have their marks up to here (partition_marks).';
COMMENT ON COLUMN eventstream.log_state.marked_sequence IS 'Sequence number, in the whole log, up to which partitions have their marks.';
COMMENT ON COLUMN eventstream.log_state.last_recorded_at IS 'Highest recorded_at of the events at or below stable_position.';
COMMENT ON COLUMN eventstream.log_state.updated_at IS 'When stable_position moved last, by the database''s clock.';

CREATE TRIGGER log_state_forward BEFORE DELETE OR UPDATE ON eventstream.log_state FOR EACH ROW EXECUTE FUNCTION eventstream.log_state_forward();
COMMENT ON TRIGGER log_state_forward ON eventstream.log_state IS 'The stable position only moves forward.';
CREATE TRIGGER log_state_truncate BEFORE TRUNCATE ON eventstream.log_state FOR EACH STATEMENT EXECUTE FUNCTION eventstream.log_state_forward();
COMMENT ON TRIGGER log_state_truncate ON eventstream.log_state IS 'The stable position is never removed.';

GRANT SELECT ON TABLE eventstream.log_state TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.log_state TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.log_state TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.log_state TO eventstream_tenant;
