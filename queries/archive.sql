-- name: Archive :one
SELECT eventstream.archive(@stream_id::text, @before_version::bigint, @max_events::integer)::bigint AS archived;
