-- +goose Up
-- Events that arrived before those that precede them. Readers never see them; advance_watermark moves them (00013).
-- Locks: none, the table is new.

CREATE TABLE eventstream.pending_events (
    version eventstream.version NOT NULL,
    event_id uuid NOT NULL,
    occurred_at eventstream.occurred_at NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partition_id eventstream.partition_id NOT NULL,
    stream_id eventstream.stream_id NOT NULL,
    tenant_id eventstream.tenant_id NOT NULL DEFAULT 'default',
    type eventstream.event_type NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata eventstream.metadata NOT NULL DEFAULT '{}',
    CONSTRAINT pending_events_pkey PRIMARY KEY (stream_id, version),
    CONSTRAINT pending_events_event_id_key UNIQUE (event_id)
);

COMMENT ON TABLE eventstream.pending_events IS
    'Events that arrived out of order and wait for the versions before them. Unseen by readers; audit_pending says what is missing.';
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

-- +goose Down
DROP TABLE eventstream.pending_events;
