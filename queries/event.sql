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
-- A whole stream in one round trip: its events, each beside what its head says that they do not. No row for a stream without events.
SELECT e.*, s.current_version, s.watermark, s.created_at, s.updated_at, eventstream.partition_count()::integer AS partition_count
FROM eventstream.streams AS s
JOIN eventstream.events AS e ON e.stream_id = s.stream_id
WHERE s.stream_id = @stream_id::text
ORDER BY e.version;
