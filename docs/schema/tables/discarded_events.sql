-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.discarded_events (
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    partition_id integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata jsonb NOT NULL,
    discarded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    discarded_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    CONSTRAINT discarded_events_reason_given CHECK (reason ~ '[^[:space:]]'::text)
);

ALTER TABLE eventstream.discarded_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.discarded_events ALTER COLUMN payload SET COMPRESSION lz4;
ALTER TABLE eventstream.discarded_events ALTER COLUMN payload SET STATISTICS 0;
ALTER TABLE eventstream.discarded_events ALTER COLUMN data SET COMPRESSION lz4;
ALTER TABLE eventstream.discarded_events ALTER COLUMN data SET STATISTICS 0;
ALTER TABLE eventstream.discarded_events ALTER COLUMN metadata SET COMPRESSION lz4;
ALTER TABLE eventstream.discarded_events ALTER COLUMN metadata SET STATISTICS 0;

COMMENT ON TABLE eventstream.discarded_events IS 'Events that waited and never entered the log: discarded by a person, or because another event took their version. On record for good.';
COMMENT ON COLUMN eventstream.discarded_events.version IS 'Version that the event will have; above the stream''s watermark.';
COMMENT ON COLUMN eventstream.discarded_events.event_id IS 'Identity of the event.';
COMMENT ON COLUMN eventstream.discarded_events.occurred_at IS 'When it happened, by the caller''s clock.';
COMMENT ON COLUMN eventstream.discarded_events.received_at IS 'When it arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.discarded_events.partition_id IS 'Partition of its stream.';
COMMENT ON COLUMN eventstream.discarded_events.stream_id IS 'Stream that the event belongs to.';
COMMENT ON COLUMN eventstream.discarded_events.tenant_id IS 'Tenant of its stream.';
COMMENT ON COLUMN eventstream.discarded_events.type IS 'Kind of the event, as order.placed.';
COMMENT ON COLUMN eventstream.discarded_events.payload IS 'What happened, as JSON.';
COMMENT ON COLUMN eventstream.discarded_events.data IS 'What happened, as bytes.';
COMMENT ON COLUMN eventstream.discarded_events.metadata IS 'What describes the event; a JSON object.';
COMMENT ON COLUMN eventstream.discarded_events.discarded_at IS 'When it was discarded, by the database''s clock.';
COMMENT ON COLUMN eventstream.discarded_events.discarded_by IS 'The database user who discarded it, or whose call found the conflict.';
COMMENT ON COLUMN eventstream.discarded_events.reason IS 'Why it was given up.';

CREATE INDEX discarded_events_stream_idx ON eventstream.discarded_events USING btree (stream_id, version);
COMMENT ON INDEX eventstream.discarded_events_stream_idx IS 'What was discarded of a stream.';

CREATE TRIGGER discarded_events_append_only BEFORE DELETE ON eventstream.discarded_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'What was discarded stays on record.');
COMMENT ON TRIGGER discarded_events_append_only ON eventstream.discarded_events IS 'What was discarded stays on record.';
CREATE TRIGGER discarded_events_erase_gate AFTER UPDATE ON eventstream.discarded_events REFERENCING OLD TABLE AS old_events NEW TABLE AS new_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.discarded_events_erase_gate();
COMMENT ON TRIGGER discarded_events_erase_gate ON eventstream.discarded_events IS 'What was discarded is never changed, but that its content is taken away, on record.';
CREATE TRIGGER discarded_events_no_truncate BEFORE TRUNCATE ON eventstream.discarded_events FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'history is append-only', 'What was discarded stays on record.');
COMMENT ON TRIGGER discarded_events_no_truncate ON eventstream.discarded_events IS 'What was discarded stays on record.';

CREATE POLICY discarded_events_all_tenants ON eventstream.discarded_events TO eventstream_all_tenants USING (true);
COMMENT ON POLICY discarded_events_all_tenants ON eventstream.discarded_events IS 'Who is for all tenants sees all rows.';
CREATE POLICY discarded_events_of_tenant ON eventstream.discarded_events TO PUBLIC USING ((tenant_id = ( SELECT s.tenant_id
   FROM eventstream.session_tenant s)));
COMMENT ON POLICY discarded_events_of_tenant ON eventstream.discarded_events IS 'Who is not for all tenants sees and writes what is of the tenant that its session names.';

GRANT SELECT ON TABLE eventstream.discarded_events TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.discarded_events TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.discarded_events TO eventstream_subscriber;
