-- name: StreamLockMany :many
-- The heads of these streams, locked until the transaction ends. In order of stream_id, as every writer locks them, or two would wait
-- for each other; NO KEY, which is what moving a head takes.
SELECT
    s.stream_id,
    s.tenant_id,
    s.partition_id,
    s.watermark,
    s.current_version
FROM eventstream.streams AS s
WHERE s.stream_id = ANY (@stream_ids::text[])
ORDER BY s.stream_id COLLATE "C"
FOR NO KEY UPDATE;

-- name: EventPlaceMany :many
-- Where those of these events are that are there. Ids go as text, which pgx sends in every query mode.
SELECT
    e.event_id,
    e.stream_id,
    e.version
FROM eventstream.events AS e
WHERE e.event_id = ANY ((@event_ids::text[])::uuid[]);
