-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.archivings (
    archiving bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    from_version bigint NOT NULL,
    to_version bigint NOT NULL,
    archived_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    archived_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT archivings_pkey PRIMARY KEY (archiving),
    CONSTRAINT archivings_stream_id_from_version_key UNIQUE (stream_id, from_version),
    CONSTRAINT archivings_versions_ordered CHECK (from_version > 1 AND to_version >= from_version)
);

ALTER TABLE eventstream.archivings ENABLE ROW LEVEL SECURITY;

COMMENT ON TABLE eventstream.archivings IS 'What was moved to archived_events: a row for each stream of each move. Written by the guard of that table, and never changed; the audit looks at what was moved since the last clean one.';
COMMENT ON COLUMN eventstream.archivings.archiving IS 'Its number, drawn while no other transaction archives: a lower one is never seen later.';
COMMENT ON COLUMN eventstream.archivings.from_version IS 'First version that was moved.';
COMMENT ON COLUMN eventstream.archivings.to_version IS 'Last version that was moved; all between the two were.';
COMMENT ON COLUMN eventstream.archivings.archived_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN eventstream.archivings.stream_id IS 'The stream.';
COMMENT ON COLUMN eventstream.archivings.archived_by IS 'The database user who moved them.';

CREATE TRIGGER archivings_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.archivings FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'what was archived stays on record', 'Nothing moves an event back.');
COMMENT ON TRIGGER archivings_frozen ON eventstream.archivings IS 'The record is only added to.';

CREATE POLICY archivings_all_tenants ON eventstream.archivings TO eventstream_all_tenants USING (true);
COMMENT ON POLICY archivings_all_tenants ON eventstream.archivings IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.archivings TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.archivings TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.archivings TO eventstream_subscriber;
