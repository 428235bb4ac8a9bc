-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.events (
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
    CONSTRAINT events_event_id_key UNIQUE (event_id),
    CONSTRAINT events_pkey PRIMARY KEY (stream_id, version),
    CONSTRAINT events_position_key UNIQUE ("position")
);

ALTER TABLE eventstream.events ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.events SET (autovacuum_vacuum_insert_scale_factor=0.02, autovacuum_vacuum_insert_threshold=10000, autovacuum_analyze_scale_factor=0.02);
ALTER TABLE eventstream.events ALTER COLUMN payload SET COMPRESSION lz4;
ALTER TABLE eventstream.events ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE eventstream.events ALTER COLUMN data SET COMPRESSION lz4;
ALTER TABLE eventstream.events ALTER COLUMN data SET STATISTICS 0;
ALTER TABLE eventstream.events ALTER COLUMN metadata SET COMPRESSION lz4;
ALTER TABLE eventstream.events ALTER COLUMN metadata SET STATISTICS 0;

COMMENT ON TABLE eventstream.events IS 'Every event of every stream. Versions of a stream run 1, 2, 3 ... without a gap; nothing is ever changed or removed, but that eventstream.erase() takes away what an event holds, and eventstream.archive() moves events to archived_events, which is a part of this table.';
COMMENT ON COLUMN eventstream.events."position" IS 'Place in the one log of all streams. Rises with the version within a stream; has holes where a transaction rolled back.';
COMMENT ON COLUMN eventstream.events.version IS 'Number of the event in its stream, from 1, without a gap.';
COMMENT ON COLUMN eventstream.events.event_id IS 'Identity of the event, unique in the store; an append whose ids exist already is a duplicate.';
COMMENT ON COLUMN eventstream.events.occurred_at IS 'When it happened, by the caller''s clock; years 1 to 9999.';
COMMENT ON COLUMN eventstream.events.recorded_at IS 'When it was written, by the database''s clock, whoever wrote it.';
COMMENT ON COLUMN eventstream.events.partition_id IS 'Fixed share of the streams that its stream belongs to: partition_of(stream_id, partition_count()) unless placed elsewhere at creation.';
COMMENT ON COLUMN eventstream.events.stream_id IS 'Stream that the event belongs to: 1 to 128 bytes, no control characters, no white space at either end. Up to the first - is its category.';
COMMENT ON COLUMN eventstream.events.tenant_id IS 'Tenant of its stream: 1 to 64 of A-Z a-z 0-9 _ -.';
COMMENT ON COLUMN eventstream.events.type IS 'Kind of the event, as order.placed: 1 to 128 bytes, no control characters, no white space at either end.';
COMMENT ON COLUMN eventstream.events.payload IS 'What happened, as JSON; the JSON null for an event with data alone.';
COMMENT ON COLUMN eventstream.events.data IS 'What happened, as bytes, for payloads that are not JSON; else NULL.';
COMMENT ON COLUMN eventstream.events.metadata IS 'What describes the event rather than what happened: correlation, causation, trace; a JSON object.';

CREATE INDEX events_first_partition_idx ON eventstream.events USING btree (partition_id, stream_id) WHERE (version = 1);
COMMENT ON INDEX eventstream.events_first_partition_idx IS 'Streams of a partition, in order of stream_id.';
CREATE INDEX events_first_tenant_idx ON eventstream.events USING btree (tenant_id, stream_id) WHERE (version = 1);
COMMENT ON INDEX eventstream.events_first_tenant_idx IS 'Streams of a tenant, in order of stream_id.';
CREATE INDEX events_partition_position_idx ON eventstream.events USING btree (partition_id, "position");
COMMENT ON INDEX eventstream.events_partition_position_idx IS 'The log of one partition.';

CREATE TRIGGER events_append_only AFTER DELETE ON eventstream.events REFERENCING OLD TABLE AS old_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_leave();
COMMENT ON TRIGGER events_append_only ON eventstream.events IS 'Events are never removed; they may move to the archive.';
CREATE TRIGGER events_erase_gate AFTER UPDATE ON eventstream.events REFERENCING OLD TABLE AS old_events NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_erase_gate();
COMMENT ON TRIGGER events_erase_gate ON eventstream.events IS 'Events are never changed, but that their content is taken away, on record.';
CREATE TRIGGER events_gate AFTER INSERT ON eventstream.events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate();
COMMENT ON TRIGGER events_gate ON eventstream.events IS 'Keeps every stream gapless.';
CREATE TRIGGER events_in_flight BEFORE INSERT ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_in_flight();
COMMENT ON TRIGGER events_in_flight ON eventstream.events IS 'Marks positions that are not committed yet.';
CREATE TRIGGER events_no_truncate BEFORE TRUNCATE ON eventstream.events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'Append a new event that corrects the old one.');
COMMENT ON TRIGGER events_no_truncate ON eventstream.events IS 'Events are never removed.';

CREATE POLICY events_all_tenants ON eventstream.events TO eventstream_all_tenants USING (true);
COMMENT ON POLICY events_all_tenants ON eventstream.events IS 'Who is for all tenants sees all rows.';
CREATE POLICY events_of_tenant ON eventstream.events TO PUBLIC USING ((tenant_id = ( SELECT s.tenant_id
   FROM eventstream.session_tenant s)));
COMMENT ON POLICY events_of_tenant ON eventstream.events IS 'Who is not for all tenants sees and writes what is of the tenant that its session names.';

GRANT SELECT ON TABLE eventstream.events TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.events TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.events TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.events TO eventstream_tenant;
