-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.schema_record (
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    digest bytea,
    recorded_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT schema_record_pkey PRIMARY KEY (kind, name, recorded_at)
);

COMMENT ON TABLE eventstream.schema_record IS 'What holds the rules, as each migration left it. Rows are added, never changed: whoever replaces a function and records that leaves a trace.';
COMMENT ON COLUMN eventstream.schema_record.recorded_at IS 'When it was recorded.';
COMMENT ON COLUMN eventstream.schema_record.kind IS 'trigger, constraint, column, function, view, sequence, table, policy or privilege.';
COMMENT ON COLUMN eventstream.schema_record.name IS 'The object.';
COMMENT ON COLUMN eventstream.schema_record.digest IS 'SHA-256 of its definition in schema_objects; NULL if it was dropped.';
COMMENT ON COLUMN eventstream.schema_record.recorded_by IS 'The database user who recorded it.';

CREATE TRIGGER schema_record_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.schema_record FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'what was recorded stays', 'Call eventstream.record_schema() after a migration.');
COMMENT ON TRIGGER schema_record_frozen ON eventstream.schema_record IS 'The record is only added to.';

GRANT SELECT ON TABLE eventstream.schema_record TO eventstream_auditor;
