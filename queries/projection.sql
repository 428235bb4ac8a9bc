-- name: ProjectionCreate :one
-- The id of the tables that are to be made in the same transaction; zero where projection and tables exist already, and fit.
SELECT coalesce(
    eventstream.create_projection(@name::text, @shard_count::integer, @filter::jsonb, @start::jsonb),
    '00000000-0000-0000-0000-000000000000')::uuid AS tables_id;

-- name: ProjectionMark :one
-- The comment of a schema that holds these tables.
SELECT eventstream.projection_mark(@name::text, @tables_id::uuid)::text AS mark;

-- name: ProjectionSchema :one
-- Whether a schema exists, and which tables of a projection it holds; zero if it is not marked as that projection's.
SELECT p.found::boolean AS found, coalesce(p.tables_id, '00000000-0000-0000-0000-000000000000')::uuid AS tables_id
FROM eventstream.projection_schema(@schema::text, @name::text) AS p;

-- name: ProjectionRebuildLock :one
-- Whether the caller is the one who rebuilds the projection, until its transaction ends.
SELECT pg_try_advisory_xact_lock(eventstream.rebuild_key(@name::text))::boolean AS locked;

-- name: ProjectionBeginRebuild :one
SELECT r.rebuild::text AS rebuild, r.tables_id::uuid AS tables_id
FROM eventstream.begin_rebuild(
    @name::text, @shard_count::integer, @rebuild_shard_count::integer, @filter::jsonb, @in_place::boolean) AS r;

-- name: ProjectionHold :one
-- Keeps a projection where it is until the transaction ends: how far its furthest shard has come.
SELECT eventstream.hold_projection(@name::text)::bigint AS furthest;

-- name: ProjectionRequestRebuild :one
-- Asks for a rebuild; of one that is open, or one that runs, it says so.
SELECT r.outcome::text AS outcome, coalesce(r.request_id, '00000000-0000-0000-0000-000000000000')::uuid AS request_id
FROM eventstream.request_rebuild(@name::text, @in_place::boolean, sqlc.narg(shard_count)::integer) AS r;

-- name: ProjectionCancelRebuild :one
SELECT eventstream.cancel_rebuild(@name::text)::boolean AS canceled;

-- name: ProjectionRebuildRequests :many
-- Requests that are open, for those who run the projections. The locks are looked at only where there is one.
SELECT q.projection::text AS projection, q.request_id, eventstream.is_rebuilding(q.projection)::boolean AS rebuilding
FROM eventstream.rebuild_requests AS q
WHERE q.projection = ANY (@names::text[]) AND q.ended_at IS NULL;

-- name: ProjectionRebuildOutcome :one
-- What has become of a request: empty while it is open. One that is gone was deleted with its projection, or a later one has its
-- place.
SELECT coalesce(
    (SELECT coalesce(q.outcome, '') FROM eventstream.rebuild_requests AS q WHERE q.projection = @name::text AND q.request_id = @request_id::uuid),
    'canceled')::text AS outcome;

-- name: ProjectionTakeRebuild :one
-- No row if the request was canceled, or somebody else has done it.
SELECT t.request_id::uuid AS request_id, t.in_place::boolean AS in_place, coalesce(t.shard_count, 0)::integer AS shard_count,
    t.requested_by::text AS requested_by
FROM eventstream.take_rebuild(@name::text, @application::text) AS t;

-- name: ProjectionEndRebuild :one
SELECT eventstream.end_rebuild(@name::text, @request_id::uuid, sqlc.narg(error)::text)::boolean AS ended;
