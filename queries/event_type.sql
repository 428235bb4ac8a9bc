-- name: EventListUnknownTypes :many
-- The types and schema versions of the store that are not among the given ones.
SELECT
    u.type::text AS type,
    u.schema_version::integer AS schema_version,
    u.events::bigint AS events,
    u.event_id::uuid AS event_id,
    u.stream_id::text AS stream_id,
    u.version::bigint AS version
FROM eventstream.unknown_event_types(@types::text[], @oldest::integer[], @newest::integer[]) AS u
ORDER BY u.type COLLATE "C", u.schema_version;
