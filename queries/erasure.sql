-- name: Erase :one
-- To version 0 is the last one of the stream.
SELECT eventstream.erase(
    @stream_id::text,
    int8range(@from_version::bigint, nullif(@to_version::bigint, 0), '[]'),
    @reason::text,
    sqlc.narg(tell)::boolean
)::bigint AS erased;

-- name: CloseStream :one
SELECT
    c.version::bigint AS version,
    c.is_new::boolean AS is_new
FROM eventstream.close_stream(@stream_id::text, @reason::text, @expected::bigint) AS c;
