-- name: EventGet :one
SELECT e.*
FROM eventstream.events AS e
WHERE e.event_id = @event_id::uuid;

-- name: EventPosition :one
-- Where the event of an id is, without reading what it says.
SELECT e.position
FROM eventstream.events AS e
WHERE e.event_id = @event_id::uuid;

-- name: EventListForward :many
-- A page of a stream, upwards from a version. Of an event that is not light payload or metadata is NULL, as in LogListForward.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version >= @from_version::bigint
ORDER BY e.version
LIMIT @page_size::integer;

-- name: EventListBackward :many
-- A page of a stream, downwards from a version.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version <= @from_version::bigint
ORDER BY e.version DESC
LIMIT @page_size::integer;

-- name: EventListHeavyForward :many
-- A page where events are large, as LogListHeavy gives it.
SELECT
    w.position::bigint AS position,
    w.version::bigint AS version,
    w.event_id::uuid AS event_id,
    w.occurred_at::timestamptz AS occurred_at,
    w.recorded_at::timestamptz AS recorded_at,
    w.partition_id::integer AS partition_id,
    w.stream_id::text AS stream_id,
    w.tenant_id::text AS tenant_id,
    w.type::text AS type,
    CASE WHEN w.fits THEN w.payload END::jsonb AS payload,
    CASE WHEN w.fits THEN w.data END::bytea AS data,
    CASE WHEN w.fits THEN w.metadata END::jsonb AS metadata
FROM (
    SELECT
        s.*,
        s.bytes <= @max_bytes::bigint OR s.number = 1 AS fits
    FROM (
        SELECT
            e.*,
            eventstream.event_weight(e.payload, e.data, e.metadata) AS weight,
            row_number() OVER w AS number,
            sum(eventstream.event_weight(e.payload, e.data, e.metadata)) OVER w AS bytes
        FROM (
            SELECT q.*
            FROM eventstream.events AS q
            WHERE q.stream_id = @stream_id::text AND q.version >= @from_version::bigint
            ORDER BY q.version
            LIMIT @page_size::integer
        ) AS e
        WINDOW w AS (ORDER BY e.version ROWS UNBOUNDED PRECEDING)
    ) AS s
    -- Whatever the first one weighs, the second tells whether that was all.
    WHERE s.bytes - s.weight <= @max_bytes::bigint OR s.number <= 2
) AS w
ORDER BY w.version;

-- name: EventListHeavyBackward :many
-- The same, downwards.
SELECT
    w.position::bigint AS position,
    w.version::bigint AS version,
    w.event_id::uuid AS event_id,
    w.occurred_at::timestamptz AS occurred_at,
    w.recorded_at::timestamptz AS recorded_at,
    w.partition_id::integer AS partition_id,
    w.stream_id::text AS stream_id,
    w.tenant_id::text AS tenant_id,
    w.type::text AS type,
    CASE WHEN w.fits THEN w.payload END::jsonb AS payload,
    CASE WHEN w.fits THEN w.data END::bytea AS data,
    CASE WHEN w.fits THEN w.metadata END::jsonb AS metadata
FROM (
    SELECT
        s.*,
        s.bytes <= @max_bytes::bigint OR s.number = 1 AS fits
    FROM (
        SELECT
            e.*,
            eventstream.event_weight(e.payload, e.data, e.metadata) AS weight,
            row_number() OVER w AS number,
            sum(eventstream.event_weight(e.payload, e.data, e.metadata)) OVER w AS bytes
        FROM (
            SELECT q.*
            FROM eventstream.events AS q
            WHERE q.stream_id = @stream_id::text AND q.version <= @from_version::bigint
            ORDER BY q.version DESC
            LIMIT @page_size::integer
        ) AS e
        WINDOW w AS (ORDER BY e.version DESC ROWS UNBOUNDED PRECEDING)
    ) AS s
    -- Whatever the first one weighs, the second tells whether that was all.
    WHERE s.bytes - s.weight <= @max_bytes::bigint OR s.number <= 2
) AS w
ORDER BY w.version DESC;

-- name: EventListWithHead :many
-- A whole stream in one round trip: its events, the first beside what they do not say: how many partitions the store has, negative where
-- events of the stream wait. No row for a stream without events.
SELECT e.*,
    (CASE WHEN e.version = 1 THEN
        CASE WHEN EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = @stream_id::text) THEN -1 ELSE 1 END
        * eventstream.partition_count()
    END)::integer AS partitions
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text
ORDER BY e.version;

-- name: EventFold :many
-- A stream from a version on, all of it: for who takes one row at a time.
SELECT e.*
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version >= @from_version::bigint
ORDER BY e.version;
