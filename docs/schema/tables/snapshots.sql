-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.snapshots (
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    schema_version integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    state bytea NOT NULL,
    CONSTRAINT snapshots_name_valid CHECK (eventstream.is_name(name)),
    CONSTRAINT snapshots_pkey PRIMARY KEY (stream_id, name),
    CONSTRAINT snapshots_schema_version_range CHECK (schema_version >= 1),
    CONSTRAINT snapshots_state_size CHECK (octet_length(state) <= 128000000),
    CONSTRAINT snapshots_version_range CHECK (version >= 1)
);

ALTER TABLE eventstream.snapshots ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.snapshots SET (autovacuum_vacuum_scale_factor=0.05);
ALTER TABLE eventstream.snapshots ALTER COLUMN state SET COMPRESSION lz4;
ALTER TABLE eventstream.snapshots ALTER COLUMN state SET STATISTICS 0;

COMMENT ON TABLE eventstream.snapshots IS 'States of streams at one of their versions, one row for each stream and name: the newest. A cache that may be deleted at any time; the events are the truth. Shown to those alone who may read the events of its stream.';
COMMENT ON COLUMN eventstream.snapshots.version IS 'Version of the last event that the state has in it.';
COMMENT ON COLUMN eventstream.snapshots.event_id IS 'Identity of that event. Where the stream has another one there, or none, the snapshot is of another history and not used.';
COMMENT ON COLUMN eventstream.snapshots.created_at IS 'When it was written, by the database''s clock.';
COMMENT ON COLUMN eventstream.snapshots.schema_version IS 'Which form the state has, by the numbers of the code that makes it; a reader of another form ignores it.';
COMMENT ON COLUMN eventstream.snapshots.stream_id IS 'Stream that it is of.';
COMMENT ON COLUMN eventstream.snapshots.name IS 'What was made of the stream: code that makes different states of one stream gives them different names.';
COMMENT ON COLUMN eventstream.snapshots.digest IS 'SHA-256 of the state: one that does not fit is not used.';
COMMENT ON COLUMN eventstream.snapshots.state IS 'The state, as the code that made it encodes it; JSON unless it chose otherwise.';

CREATE POLICY snapshots_of_visible_streams ON eventstream.snapshots TO PUBLIC USING (eventstream.shows_stream(stream_id));
COMMENT ON POLICY snapshots_of_visible_streams ON eventstream.snapshots IS 'A snapshot tells what its events tell, so it is for those alone who may read them.';

GRANT SELECT ON TABLE eventstream.snapshots TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.snapshots TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.snapshots TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.snapshots TO eventstream_tenant;
