-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.partition_marks (
    "position" bigint NOT NULL,
    sequence bigint NOT NULL,
    partition_id integer NOT NULL,
    removed boolean DEFAULT false NOT NULL,
    CONSTRAINT partition_marks_pkey PRIMARY KEY (partition_id, "position")
);

ALTER TABLE eventstream.partition_marks ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.partition_marks IS 'Sequence numbers of each partition: a mark at every 128th event, and one in the place of each event that was removed.';
COMMENT ON COLUMN eventstream.partition_marks."position" IS 'Position of an event of the partition.';
COMMENT ON COLUMN eventstream.partition_marks.sequence IS 'Sequence number of that event in its partition.';
COMMENT ON COLUMN eventstream.partition_marks.partition_id IS 'The partition.';
COMMENT ON COLUMN eventstream.partition_marks.removed IS 'Whether the event is gone (retention): its number stays taken.';

CREATE INDEX partition_marks_removed_idx ON eventstream.partition_marks USING btree ("position") WHERE removed;
COMMENT ON INDEX eventstream.partition_marks_removed_idx IS 'What was removed from a range of the log.';
CREATE INDEX partition_marks_sequence_idx ON eventstream.partition_marks USING btree (partition_id, sequence);
COMMENT ON INDEX eventstream.partition_marks_sequence_idx IS 'From a sequence number to a position.';

CREATE TRIGGER partition_marks_frozen BEFORE DELETE OR TRUNCATE ON eventstream.partition_marks FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'sequence numbers never change', 'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');
COMMENT ON TRIGGER partition_marks_frozen ON eventstream.partition_marks IS 'Sequence numbers never change.';
CREATE TRIGGER partition_marks_update BEFORE UPDATE ON eventstream.partition_marks FOR EACH ROW WHEN (((NOT new.removed) OR ((new.partition_id <> old.partition_id) OR (new."position" <> old."position") OR (new.sequence <> old.sequence)))) EXECUTE FUNCTION eventstream.refuse_change('ES004', 'sequence numbers never change', 'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');
COMMENT ON TRIGGER partition_marks_update ON eventstream.partition_marks IS 'A mark changes only when its event is removed.';

CREATE POLICY partition_marks_all_tenants ON eventstream.partition_marks TO eventstream_all_tenants USING (true);
COMMENT ON POLICY partition_marks_all_tenants ON eventstream.partition_marks IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.partition_marks TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.partition_marks TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.partition_marks TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.partition_marks TO eventstream_tenant;
