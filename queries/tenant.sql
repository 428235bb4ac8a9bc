-- name: TenantSet :exec
-- From here on, the transaction acts for one tenant, as the role that row security holds to it. Without a tenant, nothing is seen, and those
-- are written for that the rows name.
SELECT
    set_config('eventstream.tenant_id', @tenant_id::text, true),
    set_config('role', 'eventstream_tenant', true);

-- name: TenantEnter :exec
-- TenantSet, with what was before kept for TenantLeave.
SELECT
    set_config('eventstream.role_before', current_setting('role'), true),
    set_config('eventstream.tenant_before', coalesce(current_setting('eventstream.tenant_id', true), ''), true),
    set_config('eventstream.tenant_id', @tenant_id::text, true),
    set_config('role', 'eventstream_tenant', true);

-- name: TenantLeave :exec
-- The rest of the transaction is the caller's again.
SELECT
    set_config('role', current_setting('eventstream.role_before'), true),
    set_config('eventstream.tenant_id', current_setting('eventstream.tenant_before'), true);

-- name: TenantAppendEvent :one
-- AppendEvent for one tenant.
SELECT
    1::integer AS request,
    coalesce(a.outcome, '')::text AS outcome,
    coalesce(a.first_version, 0)::bigint AS first_version,
    coalesce(a.last_version, 0)::bigint AS last_version,
    coalesce(a.last_position, 0)::bigint AS last_position,
    a.current_version::bigint AS current_version,
    a.watermark::bigint AS watermark,
    coalesce(a.tenant_id, '')::text AS tenant_id
FROM eventstream.tenant_append_event(
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

-- name: TenantAppendBatch :many
-- AppendBatch for one tenant, or for those that the requests name.
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
CROSS JOIN LATERAL eventstream.tenant_append_batch(
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

-- name: TenantAppendBatchNewer :many
-- TenantAppendBatch with what came after the expected version, as AppendBatchNewer brings it.
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
CROSS JOIN LATERAL eventstream.tenant_append_batch(
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

-- name: TenantAppendIf :many
-- AppendIf for one tenant.
SELECT
    a.request::integer AS request,
    coalesce(a.outcome, '')::text AS outcome,
    coalesce(a.first_version, 0)::bigint AS first_version,
    coalesce(a.last_version, 0)::bigint AS last_version,
    coalesce(a.last_position, 0)::bigint AS last_position,
    coalesce(a.current_version, 0)::bigint AS current_version,
    coalesce(a.watermark, 0)::bigint AS watermark,
    coalesce(a.tenant_id, '')::text AS tenant_id,
    coalesce(a.found_position, 0)::bigint AS found_position
FROM eventstream.tenant_append_if(
    @query::jsonb,
    @position::bigint,
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
    @partition_ids::integer[]
) AS a;

-- name: TenantIngest :one
-- Ingest for one tenant.
SELECT
    i.appended::bigint AS appended,
    i.pending::bigint AS pending,
    i.duplicates::bigint AS duplicates,
    i.watermark::bigint AS watermark,
    i.current_version::bigint AS current_version
FROM eventstream.tenant_ingest(
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

-- name: TenantAdvanceWatermark :one
-- AdvanceWatermark for one tenant.
SELECT eventstream.tenant_advance_watermark(@stream_id::text)::bigint AS watermark;

-- name: TenantSaveSnapshot :one
-- SnapshotSave for one tenant.
SELECT eventstream.tenant_save_snapshot(
    @stream_id::text,
    @name::text,
    @version::bigint,
    @event_id::uuid,
    @schema_version::integer,
    @state::bytea
)::text AS outcome;
