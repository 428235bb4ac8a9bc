-- +goose Up
-- The head of each stream: where it stands. Written by the gate alone (00007, 00009).
-- Locks: none, the table is new.
--
-- Fixed-width columns come first and none that changes is indexed: moving a head is then a heap-only (HOT) update that touches no
-- index, and fillfactor leaves it room in its page.

CREATE TABLE eventstream.streams (
    current_version eventstream.head_version NOT NULL DEFAULT 0,
    watermark eventstream.head_version NOT NULL DEFAULT 0,
    last_position bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partition_id eventstream.partition_id NOT NULL,
    stream_id eventstream.stream_id NOT NULL,
    tenant_id eventstream.tenant_id NOT NULL DEFAULT 'default',
    CONSTRAINT streams_pkey PRIMARY KEY (stream_id),
    -- What is confirmed cannot be more than what is there: 0 <= watermark <= current_version, the first half by its type.
    CONSTRAINT streams_watermark_range CHECK (watermark <= current_version)
) WITH (fillfactor = 80);

CREATE INDEX streams_partition_idx ON eventstream.streams (partition_id, stream_id);
CREATE INDEX streams_tenant_idx ON eventstream.streams (tenant_id, stream_id);

COMMENT ON TABLE eventstream.streams IS 'The head of each stream: one row a stream, created and moved by the gate on events.';
COMMENT ON COLUMN eventstream.streams.current_version IS
    'Highest version known, counting those that wait in pending_events; equals the watermark when nothing is missing.';
COMMENT ON COLUMN eventstream.streams.watermark IS 'Highest version up to which every event is present in events.';
COMMENT ON COLUMN eventstream.streams.last_position IS 'Position of the event at the watermark; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.created_at IS 'When the stream''s first event arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.updated_at IS 'When the head moved last, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.partition_id IS
    'Fixed share of the streams that this one belongs to: partition_of(stream_id, partition_count) unless placed elsewhere at creation.';
COMMENT ON COLUMN eventstream.streams.stream_id IS 'Name of the stream, in byte order.';
COMMENT ON COLUMN eventstream.streams.tenant_id IS 'Owner of the stream and of every event in it.';
COMMENT ON INDEX eventstream.streams_partition_idx IS 'Streams of a partition, in order of stream_id.';
COMMENT ON INDEX eventstream.streams_tenant_idx IS 'Streams of a tenant, in order of stream_id.';

-- +goose Down
DROP TABLE eventstream.streams;
