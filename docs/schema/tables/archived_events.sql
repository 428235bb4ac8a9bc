-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.archived_events (
    "position" bigint DEFAULT nextval('eventstream.events_position_seq'::regclass) NOT NULL,
    version bigint NOT NULL,
    event_id uuid DEFAULT eventstream.uuid_v7() NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    partition_id integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" DEFAULT 'default'::text NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT archived_events_event_id_key UNIQUE (event_id),
    CONSTRAINT archived_events_not_first CHECK (version > 1),
    CONSTRAINT archived_events_pkey PRIMARY KEY (stream_id, version),
    CONSTRAINT archived_events_position_key UNIQUE ("position")
);

ALTER TABLE eventstream.archived_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.archived_events SET (autovacuum_vacuum_insert_scale_factor=0.02, autovacuum_vacuum_insert_threshold=10000, autovacuum_analyze_scale_factor=0.02);
ALTER TABLE eventstream.archived_events ALTER COLUMN payload SET COMPRESSION lz4;
ALTER TABLE eventstream.archived_events ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE eventstream.archived_events ALTER COLUMN data SET COMPRESSION lz4;
ALTER TABLE eventstream.archived_events ALTER COLUMN data SET STATISTICS 0;
ALTER TABLE eventstream.archived_events ALTER COLUMN metadata SET COMPRESSION lz4;
ALTER TABLE eventstream.archived_events ALTER COLUMN metadata SET STATISTICS 0;

COMMENT ON TABLE eventstream.archived_events IS 'Events that eventstream.archive() moved here: versions 2 to some version of a stream, as they were. Part of events for whoever reads that table.';
COMMENT ON COLUMN eventstream.archived_events."position" IS 'Place in the one log of all streams. Rises with the version within a stream; has holes where a transaction rolled back.';
COMMENT ON COLUMN eventstream.archived_events.version IS 'Number of the event in its stream, from 1, without a gap.';
COMMENT ON COLUMN eventstream.archived_events.event_id IS 'Identity of the event, unique in the store; an append whose ids exist already is a duplicate.';
COMMENT ON COLUMN eventstream.archived_events.occurred_at IS 'When it happened, by the caller''s clock; years 1 to 9999.';
COMMENT ON COLUMN eventstream.archived_events.recorded_at IS 'When it was written, by the database''s clock, whoever wrote it.';
COMMENT ON COLUMN eventstream.archived_events.partition_id IS 'Fixed share of the streams that its stream belongs to: partition_of(stream_id, partition_count()) unless placed elsewhere at creation.';
COMMENT ON COLUMN eventstream.archived_events.stream_id IS 'Stream that the event belongs to: 1 to 128 bytes, no control characters, no white space at either end. Up to the first - is its category.';
COMMENT ON COLUMN eventstream.archived_events.tenant_id IS 'Tenant of its stream: 1 to 64 of A-Z a-z 0-9 _ -.';
COMMENT ON COLUMN eventstream.archived_events.type IS 'Kind of the event, as order.placed: 1 to 128 bytes, no control characters, no white space at either end.';
COMMENT ON COLUMN eventstream.archived_events.payload IS 'What happened, as JSON; the JSON null for an event with data alone.';
COMMENT ON COLUMN eventstream.archived_events.data IS 'What happened, as bytes, for payloads that are not JSON; else NULL.';
COMMENT ON COLUMN eventstream.archived_events.metadata IS 'What describes the event rather than what happened: correlation, causation, trace; a JSON object.';

CREATE INDEX archived_events_partition_position_idx ON eventstream.archived_events USING btree (partition_id, "position");
COMMENT ON INDEX eventstream.archived_events_partition_position_idx IS 'The archived part of the log of one partition.';
CREATE INDEX archived_events_tags_idx ON eventstream.archived_events USING gin (((metadata -> 'tags'::text)) jsonb_path_ops) WHERE (metadata ? 'tags'::text);
COMMENT ON INDEX eventstream.archived_events_tags_idx IS 'Archived events by their tags.';

CREATE TRIGGER archived_events_append_only BEFORE DELETE OR UPDATE ON eventstream.archived_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'What an event holds can be taken away: eventstream.erase.');
COMMENT ON TRIGGER archived_events_append_only ON eventstream.archived_events IS 'Archived events are never changed or removed.';
CREATE TRIGGER archived_events_gate AFTER INSERT ON eventstream.archived_events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.archived_events_gate();
COMMENT ON TRIGGER archived_events_gate ON eventstream.archived_events IS 'What enters the archive leaves events.';
CREATE TRIGGER archived_events_no_truncate BEFORE TRUNCATE ON eventstream.archived_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'What an event holds can be taken away: eventstream.erase.');
COMMENT ON TRIGGER archived_events_no_truncate ON eventstream.archived_events IS 'Archived events are never removed.';

CREATE POLICY archived_events_all_tenants ON eventstream.archived_events TO eventstream_all_tenants USING (true);
COMMENT ON POLICY archived_events_all_tenants ON eventstream.archived_events IS 'Who is for all tenants sees all rows.';
CREATE POLICY archived_events_of_tenant ON eventstream.archived_events TO PUBLIC USING ((tenant_id = ( SELECT s.tenant_id
   FROM eventstream.session_tenant s)));
COMMENT ON POLICY archived_events_of_tenant ON eventstream.archived_events IS 'Who is not for all tenants sees and writes what is of the tenant that its session names.';

GRANT SELECT ON TABLE eventstream.archived_events TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.archived_events TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.archived_events TO eventstream_subscriber;
