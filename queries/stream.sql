-- name: StreamGet :one
SELECT sqlc.embed(s), eventstream.partition_count()::integer AS partition_count
FROM eventstream.streams AS s
WHERE s.stream_id = @stream_id::text;

-- name: StreamList :many
-- A page of streams in byte order of their ids, in a range of ids.
SELECT s.*
FROM eventstream.streams AS s
WHERE s.stream_id > @after::text
    AND s.stream_id >= @from_id::text
    AND s.stream_id < @to_id::text
ORDER BY s.stream_id
LIMIT @page_size::integer;

-- name: StreamListByTenant :many
-- The second condition holds for all; it names the part of the rows that the index is on.
SELECT s.*
FROM eventstream.streams AS s
WHERE s.tenant_id = @tenant_id::text AND s.tenant_id > ''
    AND s.stream_id > @after::text
    AND s.stream_id >= @from_id::text
    AND s.stream_id < @to_id::text
ORDER BY s.stream_id
LIMIT @page_size::integer;

-- name: StreamListByPartition :many
-- A page of one partition's streams; of one tenant, unless that is empty.
SELECT s.*
FROM eventstream.streams AS s
WHERE s.partition_id = @partition_id::integer AND s.partition_id >= 0
    AND (@tenant_id::text = '' OR s.tenant_id = @tenant_id::text)
    AND s.stream_id > @after::text
    AND s.stream_id >= @from_id::text
    AND s.stream_id < @to_id::text
ORDER BY s.stream_id
LIMIT @page_size::integer;

-- name: StreamCount :one
-- How many streams; of one tenant unless that is empty, of one partition unless that is negative.
SELECT count(*)
FROM eventstream.streams AS s
WHERE (@tenant_id::text = '' OR s.tenant_id = @tenant_id::text)
    AND (@partition_id::integer < 0 OR s.partition_id = @partition_id::integer)
    AND s.stream_id >= @from_id::text
    AND s.stream_id < @to_id::text;

-- name: StreamVerify :one
-- What the head of a stream says, and what its events say.
SELECT
    s.watermark::bigint AS watermark,
    s.current_version::bigint AS current_version,
    count(e.version)::bigint AS events,
    coalesce(min(e.version), 0)::bigint AS first_version,
    coalesce(max(e.version), 0)::bigint AS last_version,
    coalesce((
        SELECT min(g.first_missing) FROM eventstream.audit_gaps AS g WHERE g.stream_id = @stream_id::text
    ), 0)::bigint AS first_missing
FROM eventstream.streams AS s
LEFT JOIN eventstream.events AS e ON e.stream_id = s.stream_id
WHERE s.stream_id = @stream_id::text
GROUP BY s.stream_id, s.watermark, s.current_version;

-- name: PartitionStats :many
-- What each partition that has streams holds, from the heads.
SELECT
    s.partition_id::integer AS partition_id,
    count(*)::bigint AS streams,
    sum(s.watermark)::bigint AS events,
    sum(s.current_version - s.watermark)::bigint AS behind,
    max(s.last_position)::bigint AS last_position
FROM eventstream.streams AS s
GROUP BY s.partition_id
ORDER BY s.partition_id;
