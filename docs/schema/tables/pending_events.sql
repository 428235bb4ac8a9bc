-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.pending_events (
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    partition_id integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pending_events_event_id_key UNIQUE (event_id),
    CONSTRAINT pending_events_pkey PRIMARY KEY (stream_id, version)
);

ALTER TABLE eventstream.pending_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.pending_events ALTER COLUMN payload SET COMPRESSION lz4;
ALTER TABLE eventstream.pending_events ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE eventstream.pending_events ALTER COLUMN data SET COMPRESSION lz4;
ALTER TABLE eventstream.pending_events ALTER COLUMN data SET STATISTICS 0;
ALTER TABLE eventstream.pending_events ALTER COLUMN metadata SET COMPRESSION lz4;
ALTER TABLE eventstream.pending_events ALTER COLUMN metadata SET STATISTICS 0;

COMMENT ON TABLE eventstream.pending_events IS 'Events that arrived out of order and wait for the versions before them. Unseen by readers; audit_pending says what is missing.';
COMMENT ON COLUMN eventstream.pending_events.version IS 'Version that the event will have; above the stream''s watermark.';
COMMENT ON COLUMN eventstream.pending_events.event_id IS 'Identity of the event.';
COMMENT ON COLUMN eventstream.pending_events.occurred_at IS 'When it happened, by the caller''s clock.';
COMMENT ON COLUMN eventstream.pending_events.received_at IS 'When it arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.pending_events.partition_id IS 'Partition of its stream.';
COMMENT ON COLUMN eventstream.pending_events.stream_id IS 'Stream that the event belongs to.';
COMMENT ON COLUMN eventstream.pending_events.tenant_id IS 'Tenant of its stream.';
COMMENT ON COLUMN eventstream.pending_events.type IS 'Kind of the event, as order.placed.';
COMMENT ON COLUMN eventstream.pending_events.payload IS 'What happened, as JSON.';
COMMENT ON COLUMN eventstream.pending_events.data IS 'What happened, as bytes.';
COMMENT ON COLUMN eventstream.pending_events.metadata IS 'What describes the event; a JSON object.';

CREATE TRIGGER pending_events_append_only BEFORE UPDATE ON eventstream.pending_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'Use eventstream.ingest, advance_watermark and discard_pending.');
COMMENT ON TRIGGER pending_events_append_only ON eventstream.pending_events IS 'What waits is never changed.';
CREATE TRIGGER pending_events_gate AFTER INSERT ON eventstream.pending_events REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_gate();
COMMENT ON TRIGGER pending_events_gate ON eventstream.pending_events IS 'Keeps out what could never enter events.';
CREATE TRIGGER pending_events_leave AFTER DELETE ON eventstream.pending_events REFERENCING OLD TABLE AS old_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_leave();
COMMENT ON TRIGGER pending_events_leave ON eventstream.pending_events IS 'What waits leaves into events, or on record.';
CREATE TRIGGER pending_events_no_truncate BEFORE TRUNCATE ON eventstream.pending_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'Use eventstream.ingest, advance_watermark and discard_pending.');
COMMENT ON TRIGGER pending_events_no_truncate ON eventstream.pending_events IS 'What waits is never dropped.';

CREATE POLICY pending_events_all_tenants ON eventstream.pending_events TO eventstream_all_tenants USING (true);
COMMENT ON POLICY pending_events_all_tenants ON eventstream.pending_events IS 'Who is for all tenants sees all rows.';
CREATE POLICY pending_events_of_tenant ON eventstream.pending_events TO PUBLIC USING ((tenant_id = ( SELECT s.tenant_id
   FROM eventstream.session_tenant s)));
COMMENT ON POLICY pending_events_of_tenant ON eventstream.pending_events IS 'Who is not for all tenants sees and writes what is of the tenant that its session names.';

GRANT SELECT ON TABLE eventstream.pending_events TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.pending_events TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.pending_events TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.pending_events TO eventstream_tenant;
