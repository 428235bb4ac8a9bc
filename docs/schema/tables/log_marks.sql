-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.log_marks (
    "position" bigint NOT NULL,
    sequence bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT log_marks_pkey PRIMARY KEY ("position")
);

ALTER TABLE eventstream.log_marks ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.log_marks IS 'Sequence numbers of the whole log: a mark at the end of each hole, and at every 1024th event. From a mark to the next one, or to the next hole, positions and sequence numbers rise in step.';
COMMENT ON COLUMN eventstream.log_marks."position" IS 'A position: the last one of a hole, or that of an event.';
COMMENT ON COLUMN eventstream.log_marks.sequence IS 'Number of events at or below it.';
COMMENT ON COLUMN eventstream.log_marks.recorded_at IS 'Highest recorded_at of those events.';

CREATE INDEX log_marks_recorded_at_idx ON eventstream.log_marks USING btree (recorded_at, "position");
COMMENT ON INDEX eventstream.log_marks_recorded_at_idx IS 'From a time to a position.';
CREATE INDEX log_marks_sequence_idx ON eventstream.log_marks USING btree (sequence, "position");
COMMENT ON INDEX eventstream.log_marks_sequence_idx IS 'From a sequence number to a position.';

CREATE TRIGGER log_marks_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.log_marks FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'sequence numbers never change', 'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');
COMMENT ON TRIGGER log_marks_frozen ON eventstream.log_marks IS 'Sequence numbers never change.';

CREATE POLICY log_marks_all_tenants ON eventstream.log_marks TO eventstream_all_tenants USING (true);
COMMENT ON POLICY log_marks_all_tenants ON eventstream.log_marks IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.log_marks TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.log_marks TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.log_marks TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.log_marks TO eventstream_tenant;
