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
-- A whole stream in one round trip: its events, the first beside what they do not say: how many there are, the highest version that waits
-- and when it arrived (microseconds since 1970), 0 for none, and the partitions of the store. No row for a stream without events.
SELECT e.*,
    CASE WHEN e.version = 1 THEN (
        SELECT ARRAY[
            (SELECT l.version FROM eventstream.events AS l WHERE l.stream_id = @stream_id::text ORDER BY l.version DESC LIMIT 1),
            coalesce(max(w.version), 0), coalesce(extract(epoch FROM max(w.received_at)) * 1000000, 0),
            eventstream.partition_count()
        ]::bigint[]
        FROM eventstream.pending_events AS w
        WHERE w.stream_id = @stream_id::text
    ) END AS head
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text
ORDER BY e.version;
