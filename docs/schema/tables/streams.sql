-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.streams (
    current_version eventstream.head_version DEFAULT 0 NOT NULL,
    watermark eventstream.head_version DEFAULT 0 NOT NULL,
    last_position bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    partition_id eventstream.partition_id NOT NULL,
    stream_id eventstream.stream_id NOT NULL,
    tenant_id eventstream.tenant_id DEFAULT 'default'::text NOT NULL,
    CONSTRAINT streams_pkey PRIMARY KEY (stream_id),
    CONSTRAINT streams_watermark_range CHECK (watermark::bigint <= current_version::bigint)
);

ALTER TABLE eventstream.streams SET (fillfactor=80, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=1000, autovacuum_analyze_scale_factor=0.02);

COMMENT ON TABLE eventstream.streams IS 'The head of each stream: one row a stream, created and moved by the gate on events.';
COMMENT ON COLUMN eventstream.streams.current_version IS 'Highest version known, counting those that wait in pending_events; equals the watermark when nothing is missing.';
COMMENT ON COLUMN eventstream.streams.watermark IS 'Highest version up to which every event is present in events.';
COMMENT ON COLUMN eventstream.streams.last_position IS 'Position of the event at the watermark; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.created_at IS 'When the stream''s first event arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.updated_at IS 'When the head moved last, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.partition_id IS 'Fixed share of the streams that this one belongs to: partition_of(stream_id, partition_count) unless placed elsewhere at creation.';
COMMENT ON COLUMN eventstream.streams.stream_id IS 'Name of the stream, in byte order.';
COMMENT ON COLUMN eventstream.streams.tenant_id IS 'Owner of the stream and of every event in it.';

CREATE INDEX streams_partition_idx ON eventstream.streams USING btree (partition_id, stream_id) WHERE ((partition_id)::integer >= 0);
COMMENT ON INDEX eventstream.streams_partition_idx IS 'Streams of a partition, in order of stream_id. A prepared statement names the part, partition_id >= 0, which is every row.';
CREATE INDEX streams_tenant_idx ON eventstream.streams USING btree (tenant_id, stream_id) WHERE ((tenant_id)::text > ''::text);
COMMENT ON INDEX eventstream.streams_tenant_idx IS 'Streams of a tenant, in order of stream_id. A prepared statement names the part, tenant_id > '''', which is every row.';

CREATE TRIGGER streams_delete BEFORE DELETE ON eventstream.streams FOR EACH ROW WHEN ((((old.current_version)::bigint <> 0) OR (current_setting('eventstream.gate'::text, true) IS DISTINCT FROM 'create'::text))) EXECUTE FUNCTION eventstream.append_only();
COMMENT ON TRIGGER streams_delete ON eventstream.streams IS 'Heads are never removed, but for an empty one whose append was refused.';
CREATE TRIGGER streams_insert BEFORE INSERT ON eventstream.streams FOR EACH ROW WHEN (((NOT (((pg_trigger_depth() > 0) AND (current_setting('eventstream.gate'::text, true) = 'move'::text)) IS TRUE)) AND (((new.current_version)::bigint <> 0) OR ((new.watermark)::bigint <> 0) OR (new.last_position <> 0) OR (current_setting('eventstream.gate'::text, true) IS DISTINCT FROM 'create'::text)))) EXECUTE FUNCTION eventstream.append_only();
COMMENT ON TRIGGER streams_insert ON eventstream.streams IS 'Heads are created by the gate alone.';
CREATE TRIGGER streams_truncate BEFORE TRUNCATE ON eventstream.streams FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only();
COMMENT ON TRIGGER streams_truncate ON eventstream.streams IS 'Heads are never removed.';
CREATE TRIGGER streams_update BEFORE UPDATE ON eventstream.streams FOR EACH ROW WHEN (((pg_trigger_depth() = 0) OR (current_setting('eventstream.gate'::text, true) IS DISTINCT FROM 'move'::text))) EXECUTE FUNCTION eventstream.append_only();
COMMENT ON TRIGGER streams_update ON eventstream.streams IS 'Heads are moved by the gate alone.';
