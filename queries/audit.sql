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

-- name: RunAudit :many
-- What is new since the last clean audit, and wrong; on record.
SELECT
    a.check_name::text AS check_name,
    a.severity::text AS severity,
    coalesce(a.stream_id, '')::text AS stream_id,
    coalesce(a.version, 0)::bigint AS version,
    a.detail::jsonb AS detail
FROM eventstream.run_audit(@full_run::boolean) AS a
ORDER BY a.check_name, a.stream_id, a.version;

-- name: AuditRunList :many
-- Audits on record, the newest first.
SELECT
    r.run::bigint AS run,
    coalesce(r.since_run, 0)::bigint AS since_run,
    r.started_at::timestamptz AS started_at,
    r.finished_at::timestamptz AS finished_at,
    r.position::bigint AS position,
    r.errors::bigint AS errors,
    r.warnings::bigint AS warnings,
    r.run_by::text AS run_by
FROM eventstream.audit_runs AS r
ORDER BY r.run DESC
LIMIT @page_size::integer;
