-- name: LogFirstUnreadable :many
-- The first event of a page of the log, in the order of its reader, that the server cannot give to anybody, and why.
-- No more than that is tried, since a try may take seconds.
SELECT
    e.position::bigint AS position,
    e.version::bigint AS version,
    e.event_id::uuid AS event_id,
    e.occurred_at::timestamptz AS occurred_at,
    e.recorded_at::timestamptz AS recorded_at,
    e.partition_id::integer AS partition_id,
    e.stream_id::text AS stream_id,
    e.tenant_id::text AS tenant_id,
    e.type::text AS type,
    f.fault::text AS fault
FROM eventstream.read_log(
    @after::bigint,
    @until::bigint,
    @page_size::integer,
    @backwards::boolean,
    @partition_ids::integer[],
    sqlc.narg(category)::text,
    @types::text[],
    sqlc.narg(tenant_id)::text
) AS e
CROSS JOIN LATERAL (SELECT eventstream.read_fault(e.position) AS fault OFFSET 0) AS f
WHERE f.fault IS NOT NULL
LIMIT 1;

-- name: EventFirstUnreadable :many
-- The same of a page of a stream.
SELECT
    e.position::bigint AS position,
    e.version::bigint AS version,
    e.event_id::uuid AS event_id,
    e.occurred_at::timestamptz AS occurred_at,
    e.recorded_at::timestamptz AS recorded_at,
    e.partition_id::integer AS partition_id,
    e.stream_id::text AS stream_id,
    e.tenant_id::text AS tenant_id,
    e.type::text AS type,
    f.fault::text AS fault
FROM (
    SELECT s.position, s.version, s.event_id, s.occurred_at, s.recorded_at, s.partition_id, s.stream_id, s.tenant_id,
        s.type
    FROM eventstream.events AS s
    WHERE s.stream_id = @stream_id::text AND CASE WHEN @backwards::boolean THEN s.version <= @from_version::bigint
        ELSE s.version >= @from_version::bigint END
    ORDER BY CASE WHEN @backwards::boolean THEN -s.version ELSE s.version END
    LIMIT @page_size::bigint
) AS e
CROSS JOIN LATERAL (SELECT eventstream.read_fault(e.position) AS fault OFFSET 0) AS f
WHERE f.fault IS NOT NULL
LIMIT 1;
