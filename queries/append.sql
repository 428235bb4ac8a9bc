-- name: AppendBatch :many
-- The one write: a row for each request, in the order of the requests. Ids go as text, which pgx sends in every query mode. A lock timeout
-- that is not empty holds for the transaction; it is set before the function runs, as the function needs it.
SELECT
    b.request::integer AS request,
    coalesce(b.outcome, '')::text AS outcome,
    coalesce(b.first_version, 0)::bigint AS first_version,
    coalesce(b.last_version, 0)::bigint AS last_version,
    coalesce(b.last_position, 0)::bigint AS last_position,
    b.current_version::bigint AS current_version,
    b.watermark::bigint AS watermark,
    coalesce(b.tenant_id, '')::text AS tenant_id
FROM (
    SELECT CASE @lock_timeout::text WHEN '' THEN '' ELSE set_config('lock_timeout', @lock_timeout::text, true) END AS lock_timeout
    OFFSET 0
) AS c
CROSS JOIN LATERAL eventstream.append_batch(
    @stream_ids::text[],
    @expected::bigint[],
    @event_counts::integer[],
    (@event_ids::text[])::uuid[],
    @types::text[],
    @payloads::jsonb[],
    @data::bytea[],
    @metadata::jsonb[],
    @occurred_at::timestamptz[],
    @tenant_ids::text[],
    @partition_ids::integer[],
    c.lock_timeout IS NULL OR @atomic::boolean,
    @units::integer[]
) AS b;

-- name: AppendEvent :one
-- One event: the short way.
SELECT
    1::integer AS request,
    coalesce(a.outcome, '')::text AS outcome,
    coalesce(a.first_version, 0)::bigint AS first_version,
    coalesce(a.last_version, 0)::bigint AS last_version,
    coalesce(a.last_position, 0)::bigint AS last_position,
    a.current_version::bigint AS current_version,
    a.watermark::bigint AS watermark,
    coalesce(a.tenant_id, '')::text AS tenant_id
FROM eventstream.append_event(
    @stream_id::text,
    @expected::bigint,
    (@event_id::text)::uuid,
    @type::text,
    sqlc.narg(payload)::jsonb,
    sqlc.narg(data)::bytea,
    sqlc.narg(metadata)::jsonb,
    @occurred_at::timestamptz,
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer
) AS a;

-- name: AppendEventFirst :one
-- AppendEvent for the first of rivals: an empty outcome says that nothing was done.
SELECT
    1::integer AS request,
    coalesce(a.outcome, '')::text AS outcome,
    coalesce(a.first_version, 0)::bigint AS first_version,
    coalesce(a.last_version, 0)::bigint AS last_version,
    coalesce(a.last_position, 0)::bigint AS last_position,
    coalesce(a.current_version, 0)::bigint AS current_version,
    coalesce(a.watermark, 0)::bigint AS watermark,
    coalesce(a.tenant_id, '')::text AS tenant_id
FROM eventstream.append_event(
    @stream_id::text,
    @expected::bigint,
    (@event_id::text)::uuid,
    @type::text,
    sqlc.narg(payload)::jsonb,
    sqlc.narg(data)::bytea,
    sqlc.narg(metadata)::jsonb,
    @occurred_at::timestamptz,
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer,
    (@rival_ids::text[])::uuid[]
) AS a;

-- name: AppendBatchNewer :many
-- AppendBatch with what came after the expected version of a request that is refused for it: a row for each such event, and one for any
-- other request, without an event.
SELECT
    b.request::integer AS request,
    coalesce(b.outcome, '')::text AS outcome,
    coalesce(b.first_version, 0)::bigint AS first_version,
    coalesce(b.last_version, 0)::bigint AS last_version,
    coalesce(b.last_position, 0)::bigint AS last_position,
    b.current_version::bigint AS current_version,
    b.watermark::bigint AS watermark,
    coalesce(b.tenant_id, '')::text AS tenant_id,
    coalesce(n.version, 0)::bigint AS newer_version,
    coalesce(n.position, 0)::bigint AS newer_position,
    coalesce(n.event_id, '00000000-0000-0000-0000-000000000000')::uuid AS newer_event_id,
    coalesce(n.occurred_at, 'epoch')::timestamptz AS newer_occurred_at,
    coalesce(n.recorded_at, 'epoch')::timestamptz AS newer_recorded_at,
    coalesce(n.partition_id, 0)::integer AS newer_partition_id,
    coalesce(n.stream_id, '')::text AS newer_stream_id,
    coalesce(n.tenant_id, '')::text AS newer_tenant_id,
    coalesce(n.type, '')::text AS newer_type,
    n.payload::jsonb AS newer_payload,
    n.data::bytea AS newer_data,
    n.metadata::jsonb AS newer_metadata
FROM (
    SELECT CASE @lock_timeout::text WHEN '' THEN '' ELSE set_config('lock_timeout', @lock_timeout::text, true) END AS lock_timeout
    OFFSET 0
) AS c
CROSS JOIN LATERAL eventstream.append_batch(
    @stream_ids::text[],
    @expected::bigint[],
    @event_counts::integer[],
    (@event_ids::text[])::uuid[],
    @types::text[],
    @payloads::jsonb[],
    @data::bytea[],
    @metadata::jsonb[],
    @occurred_at::timestamptz[],
    @tenant_ids::text[],
    @partition_ids::integer[],
    c.lock_timeout IS NULL OR @atomic::boolean,
    @units::integer[]
) AS b
LEFT JOIN LATERAL (
    SELECT e.*
    FROM eventstream.newer_events(
        (@stream_ids::text[])[b.request], (@expected::bigint[])[b.request], (@newer::integer[])[b.request], @newer_bytes::bigint
    ) AS e
    WHERE b.outcome = 'version_conflict'
) AS n ON true
ORDER BY b.request, n.version;

-- name: AppendEventNewer :many
-- AppendEvent, the same way.
SELECT
    1::integer AS request,
    coalesce(a.outcome, '')::text AS outcome,
    coalesce(a.first_version, 0)::bigint AS first_version,
    coalesce(a.last_version, 0)::bigint AS last_version,
    coalesce(a.last_position, 0)::bigint AS last_position,
    a.current_version::bigint AS current_version,
    a.watermark::bigint AS watermark,
    coalesce(a.tenant_id, '')::text AS tenant_id,
    coalesce(n.version, 0)::bigint AS newer_version,
    coalesce(n.position, 0)::bigint AS newer_position,
    coalesce(n.event_id, '00000000-0000-0000-0000-000000000000')::uuid AS newer_event_id,
    coalesce(n.occurred_at, 'epoch')::timestamptz AS newer_occurred_at,
    coalesce(n.recorded_at, 'epoch')::timestamptz AS newer_recorded_at,
    coalesce(n.partition_id, 0)::integer AS newer_partition_id,
    coalesce(n.stream_id, '')::text AS newer_stream_id,
    coalesce(n.tenant_id, '')::text AS newer_tenant_id,
    coalesce(n.type, '')::text AS newer_type,
    n.payload::jsonb AS newer_payload,
    n.data::bytea AS newer_data,
    n.metadata::jsonb AS newer_metadata
FROM eventstream.append_event(
    @stream_id::text,
    @expected::bigint,
    (@event_id::text)::uuid,
    @type::text,
    sqlc.narg(payload)::jsonb,
    sqlc.narg(data)::bytea,
    sqlc.narg(metadata)::jsonb,
    @occurred_at::timestamptz,
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer
) AS a
LEFT JOIN LATERAL (
    SELECT e.*
    FROM eventstream.newer_events(@stream_id::text, @expected::bigint, @newer::integer, @newer_bytes::bigint) AS e
    WHERE a.outcome = 'version_conflict'
) AS n ON true
ORDER BY n.version;

-- name: Ingest :one
-- Events of one stream with their versions given.
SELECT
    i.appended::bigint AS appended,
    i.pending::bigint AS pending,
    i.duplicates::bigint AS duplicates,
    i.watermark::bigint AS watermark,
    i.current_version::bigint AS current_version
FROM eventstream.ingest(
    @stream_id::text,
    @versions::bigint[],
    (@event_ids::text[])::uuid[],
    @types::text[],
    @payloads::jsonb[],
    @data::bytea[],
    @metadata::jsonb[],
    @occurred_at::timestamptz[],
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer,
    @max_ahead::bigint
) AS i;

-- name: AdvanceWatermark :one
-- Moves what no longer waits; the new watermark, 0 for an unknown stream.
SELECT eventstream.advance_watermark(@stream_id::text)::bigint AS watermark;

-- name: StreamDiscardPending :one
-- Gives up what waits, from a version on; how many events that were.
SELECT eventstream.discard_pending(@stream_id::text, @reason::text, @from_version::bigint)::bigint AS discarded;
