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
