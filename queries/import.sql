-- name: StreamLockMany :exec
-- The locks of these streams until the transaction ends, unless they are many.
SELECT eventstream.lock_streams(@stream_ids::text[]);

-- name: StreamLastMany :many
-- Where those of these streams stand that exist: the last version, and the highest one known.
SELECT
    u.stream_id::text AS stream_id,
    coalesce(e.tenant_id, w.tenant_id)::text AS tenant_id,
    coalesce(e.partition_id, w.partition_id)::integer AS partition_id,
    coalesce(e.version, 0)::bigint AS watermark,
    greatest(e.version, w.version)::bigint AS current_version
FROM unnest(@stream_ids::text[]) AS u (stream_id)
LEFT JOIN LATERAL (
    SELECT l.version, l.tenant_id, l.partition_id
    FROM ONLY eventstream.events AS l
    WHERE l.stream_id = u.stream_id
    ORDER BY l.version DESC
    LIMIT 1
) AS e ON true
LEFT JOIN LATERAL (
    SELECT p.version, p.tenant_id, p.partition_id
    FROM eventstream.pending_events AS p
    WHERE p.stream_id = u.stream_id
    ORDER BY p.version DESC
    LIMIT 1
) AS w ON true
WHERE e.version IS NOT NULL OR w.version IS NOT NULL;

-- name: EventPlaceMany :many
-- Where those of these events are that exist. Ids go as text, which pgx sends in every query mode.
SELECT
    e.event_id,
    e.stream_id,
    e.version
FROM eventstream.events AS e
WHERE e.event_id = ANY ((@event_ids::text[])::uuid[]);
