-- name: EventGet :one
SELECT e.*
FROM eventstream.events AS e
WHERE e.event_id = @event_id::uuid;

-- name: EventListForward :many
-- A page of a stream, upwards from a version.
SELECT e.*
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version >= @from_version::bigint
ORDER BY e.version
LIMIT @page_size::integer;

-- name: EventListBackward :many
-- A page of a stream, downwards from a version.
SELECT e.*
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version <= @from_version::bigint
ORDER BY e.version DESC
LIMIT @page_size::integer;

-- name: EventListWithHead :many
-- A whole stream in one round trip: its events, the first beside what its head says that they do not (current version, watermark,
-- microseconds of created_at and updated_at since 1970, partitions of the store). No row for a stream without events.
SELECT e.*,
    CASE WHEN e.version = 1 THEN ARRAY[
        s.current_version, s.watermark, extract(epoch FROM s.created_at) * 1000000, extract(epoch FROM s.updated_at) * 1000000,
        eventstream.partition_count()
    ]::bigint[] END AS head
FROM eventstream.streams AS s
JOIN eventstream.events AS e ON e.stream_id = s.stream_id
WHERE s.stream_id = @stream_id::text
ORDER BY e.version;
