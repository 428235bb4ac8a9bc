-- name: AppendIf :many
-- A decision: append_batch, if no event that matches the query came after the position.
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
FROM eventstream.append_if(
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

-- name: QueryPosition :one
-- Up to where a later statement reads what a decision is made on, and whether a matching event is above that already.
SELECT
    q.read_until::bigint AS read_until,
    q.is_ahead::boolean AS is_ahead,
    q.is_kept::boolean AS is_kept
FROM eventstream.query_position(@query::jsonb) AS q;

-- name: QueryList :many
-- A page of the events that match a query.
SELECT
    e.position::bigint AS position,
    e.version::bigint AS version,
    e.event_id::uuid AS event_id,
    e.occurred_at::timestamptz AS occurred_at,
    e.recorded_at::timestamptz AS recorded_at,
    e.partition_id::integer AS partition_id,
    e.stream_id::text AS stream_id,
    e.tenant_id::text AS tenant_id,
    e.type::text AS type,
    e.payload::jsonb AS payload,
    e.data::bytea AS data,
    e.metadata::jsonb AS metadata
FROM eventstream.read_query(@query::jsonb, @after::bigint, @until::bigint, @page_size::integer) AS e
ORDER BY e.position;

-- name: QueryLock :one
-- Holds what a query locks until the transaction ends; the position to read up to, in a later statement.
SELECT eventstream.lock_query(@query::jsonb)::bigint AS read_until;
