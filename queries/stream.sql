-- name: StreamGet :one
SELECT
    s.stream_id::text AS stream_id,
    s.partition_id::integer AS partition_id,
    s.tenant_id::text AS tenant_id,
    s.current_version::bigint AS current_version,
    s.watermark::bigint AS watermark,
    s.last_position::bigint AS last_position,
    s.created_at::timestamptz AS created_at,
    s.updated_at::timestamptz AS updated_at,
    eventstream.partition_count()::integer AS partition_count
FROM eventstream.get_stream(@stream_id::text) AS s;

-- name: StreamList :many
-- A page of streams in byte order of their ids, in a range of ids; of one tenant, and of one partition, if they are given.
SELECT
    s.stream_id::text AS stream_id,
    s.partition_id::integer AS partition_id,
    s.tenant_id::text AS tenant_id,
    s.current_version::bigint AS current_version,
    s.watermark::bigint AS watermark,
    s.last_position::bigint AS last_position,
    s.created_at::timestamptz AS created_at,
    s.updated_at::timestamptz AS updated_at,
    eventstream.partition_count()::integer AS partition_count
FROM eventstream.list_streams(
    @page_size::integer,
    @after::text,
    @from_id::text,
    @to_id::text,
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer
) AS s;

-- name: StreamCount :one
-- How many streams; of one tenant, and of one partition, if they are given.
SELECT eventstream.count_streams(
    @from_id::text,
    @to_id::text,
    sqlc.narg(tenant_id)::text,
    sqlc.narg(partition_id)::integer
)::bigint AS streams;

-- name: StreamVerify :one
-- The first version that is missing between the events of a stream or before them, 0 if none is; and the highest one known.
SELECT
    coalesce((
        SELECT min(g.first_missing) FROM eventstream.audit_gaps AS g WHERE g.stream_id = @stream_id::text
    ), 0)::bigint AS first_missing,
    k.current_version::bigint AS current_version
FROM (
    SELECT greatest(
        (SELECT max(e.version) FROM ONLY eventstream.events AS e WHERE e.stream_id = @stream_id::text),
        (SELECT max(p.version) FROM eventstream.pending_events AS p WHERE p.stream_id = @stream_id::text)
    ) AS current_version
) AS k
WHERE k.current_version IS NOT NULL;

-- name: PartitionStats :many
-- What each partition that has streams holds. Events are counted from the last mark of each.
SELECT
    p.id::integer AS partition_id,
    p.streams::bigint AS streams,
    eventstream.partition_sequence_at(p.id, 9223372036854775807)::bigint AS events,
    coalesce(w.behind, 0)::bigint AS behind,
    coalesce((
        SELECT e.position FROM ONLY eventstream.events AS e WHERE e.partition_id = p.id ORDER BY e.position DESC LIMIT 1
    ), 0)::bigint AS last_position
FROM (
    SELECT q.id, sum(q.streams) AS streams
    FROM (
        SELECT f.partition_id AS id, count(*) AS streams FROM ONLY eventstream.events AS f WHERE f.version = 1 GROUP BY f.partition_id
        UNION ALL
        SELECT d.partition_id, count(DISTINCT d.stream_id)
        FROM eventstream.pending_events AS d
        WHERE NOT EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = d.stream_id)
        GROUP BY d.partition_id
    ) AS q
    GROUP BY q.id
) AS p
LEFT JOIN (
    SELECT s.partition_id, sum(s.current_version - s.watermark) AS behind
    FROM (SELECT DISTINCT x.stream_id FROM eventstream.pending_events AS x) AS u
    JOIN eventstream.streams AS s ON s.stream_id = u.stream_id
    GROUP BY s.partition_id
) AS w ON w.partition_id = p.id
ORDER BY p.id;
