-- name: AuditList :many
-- Everything that is wrong with the store; no row means clean.
SELECT
    a.check_name::text AS check_name,
    a.severity::text AS severity,
    coalesce(a.stream_id, '')::text AS stream_id,
    coalesce(a.version, 0)::bigint AS version,
    a.detail::jsonb AS detail
FROM eventstream.audit() AS a
ORDER BY a.check_name, a.stream_id, a.version;
