-- name: SnapshotLoad :many
SELECT
    l.position::bigint AS position,
    l.version::bigint AS version,
    l.event_id::uuid AS event_id,
    l.occurred_at::timestamptz AS occurred_at,
    l.recorded_at::timestamptz AS recorded_at,
    l.partition_id::integer AS partition_id,
    l.stream_id::text AS stream_id,
    l.tenant_id::text AS tenant_id,
    l.type::text AS type,
    l.payload::jsonb AS payload,
    l.data::bytea AS data,
    l.metadata::jsonb AS metadata,
    l.head::bigint[] AS head,
    l.digest::bytea AS digest,
    l.state::bytea AS state
FROM eventstream.load_snapshot(
    @stream_id::text, @name::text, @schema_version::integer, nullif(@before_event::uuid, '00000000-0000-0000-0000-000000000000')) AS l;

-- name: SnapshotSave :one
SELECT eventstream.save_snapshot(
    @stream_id::text,
    @name::text,
    @version::bigint,
    @event_id::uuid,
    @schema_version::integer,
    @state::bytea
)::text AS outcome;
