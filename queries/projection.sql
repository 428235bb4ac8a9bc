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
