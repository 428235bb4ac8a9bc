-- name: SubscriptionSubscribe :one
-- Whether it was created now; refused if it is there with another configuration.
SELECT eventstream.subscribe(
    @name::text, @shard_count::integer, @delivery::text, @filter::jsonb, @start::jsonb)::boolean AS created;

-- name: SubscriptionReshard :exec
SELECT eventstream.reshard_subscription(@name::text, @shard_count::integer);

-- name: SubscriptionReset :exec
SELECT eventstream.reset_subscription(@name::text, @start::jsonb);

-- name: SubscriptionPause :exec
SELECT eventstream.pause_subscription(@name::text, @paused::boolean);

-- name: SubscriptionReplace :exec
SELECT eventstream.replace_subscription(@name::text, @replacement::text, @shard_count::integer);

-- name: SubscriptionDelete :exec
SELECT eventstream.delete_subscription(@name::text);

-- name: SubscriptionSkipEvent :exec
SELECT eventstream.skip_event(@subscription::text, @position::bigint, @reason::text);

-- name: SubscriptionSkipped :many
-- Positions above a checkpoint that a person decided to skip; a rebuild skips what its projection does.
SELECT k.position
FROM eventstream.subscriptions AS s
JOIN eventstream.subscription_skips AS k ON k.subscription = coalesce(s.rebuilds, s.name)
WHERE s.name = @subscription::text AND k.position > @after::bigint;

-- name: SubscriptionLag :many
-- How far each shard is; of one subscription, unless that is empty.
SELECT
    a.subscription::text AS subscription,
    a.shard::integer AS shard,
    a.shard_count::integer AS shard_count,
    a.position::bigint AS position,
    a.stable_position::bigint AS stable_position,
    coalesce(a.lag_events, 0)::bigint AS lag_events,
    a.lag_seconds::double precision AS lag_seconds,
    a.events::bigint AS events,
    a.parked::bigint AS parked,
    a.state::text AS state,
    coalesce(a.application, '')::text AS application,
    coalesce(a.last_error, '')::text AS last_error,
    coalesce(a.failing_position, 0)::bigint AS failing_position,
    coalesce(a.failing_event, '00000000-0000-0000-0000-000000000000')::uuid AS failing_event,
    coalesce(a.tries, 0)::integer AS tries,
    coalesce(a.failing_since, a.updated_at)::timestamptz AS failing_since,
    a.updated_at::timestamptz AS updated_at
FROM eventstream.subscription_lag() AS a
WHERE @subscription::text = '' OR a.subscription = @subscription::text
ORDER BY a.subscription, a.shard;

-- name: SubscriptionCheckpoint :one
-- Up to where all shards of a subscription have come, and the highest position there is to come to. No row for an unknown one.
SELECT
    min(h.position)::bigint AS position,
    max(h.position)::bigint AS furthest,
    eventstream.last_position()::bigint AS last_position
FROM eventstream.subscription_shards AS h
WHERE h.subscription = @subscription::text
HAVING count(*) > 0;

-- name: ShardGet :one
-- What the owner of a shard starts with, and whether the subscription is still as the owner describes it. No row if another one owns it
-- by now.
SELECT
    h.position,
    s.partition_positions,
    eventstream.last_position()::bigint AS last_position,
    eventstream.partition_count()::integer AS partition_count,
    -- Whether the server that answers is the one that has the owner's lock.
    (pg_try_advisory_xact_lock_shared(eventstream.member_key(h.member_id)) IS NOT TRUE)::boolean AS held,
    (s.shard_count = @shard_count::integer AND s.delivery = @delivery::text AND s.filter = @filter::jsonb)::boolean AS as_described
FROM eventstream.subscription_shards AS h
JOIN eventstream.subscriptions AS s ON s.name = h.subscription
WHERE h.subscription = @subscription::text AND h.shard = @shard::integer AND h.epoch = @epoch::bigint;

-- name: ShardClaim :many
-- Says that a process is alive, and returns all shards that it owns.
SELECT
    c.claimed_subscription::text AS subscription,
    c.claimed_shard::integer AS shard,
    c.claimed_position::bigint AS position,
    c.claimed_epoch::bigint AS epoch,
    c.share::integer AS share
FROM eventstream.claim_shards(@member_id::bigint, @application::text, @subscriptions::text[], (@lease_ms::bigint || ' ms')::interval) AS c;

-- name: ShardRelease :one
SELECT eventstream.release_shard(@subscription::text, @shard::integer, @epoch::bigint)::boolean AS released;

-- name: ShardMoveCheckpoint :exec
SELECT eventstream.move_checkpoint(
    @subscription::text, @shard::integer, @epoch::bigint, @position::bigint, @events::bigint, sqlc.narg(token)::text);

-- name: ShardRecordFailure :exec
-- Says what a shard fails on; the event is not named while several are tried together.
SELECT eventstream.record_failure(
    @subscription::text, @shard::integer, @epoch::bigint, @position::bigint, sqlc.narg(event_id)::uuid, @tries::integer, @error::text);

-- name: ShardMoveIdleCheckpoints :one
SELECT eventstream.move_idle_checkpoints(
    @subscriptions::text[], @shards::integer[], @epochs::bigint[], @positions::bigint[])::bigint AS reached;

-- name: MemberLock :exec
-- Held until the transaction ends: the process is alive.
SELECT pg_advisory_xact_lock(eventstream.member_key(@member_id::bigint));

-- name: MemberIsHeld :one
-- Whether the server that answers is the one that has the member's lock.
SELECT (NOT pg_try_advisory_xact_lock_shared(eventstream.member_key(@member_id::bigint)))::boolean AS held;

-- name: LogNotify :exec
-- Wakes processes that listen. Never sent by an append.
SELECT pg_notify('eventstream_log', '');

-- name: ParkedPark :exec
SELECT eventstream.park_events(@subscription::text, @positions::bigint[], @tries::integer, @error::text);

-- name: ParkedList :many
-- What a subscription put aside, in order of the log.
SELECT p.*
FROM eventstream.parked_events AS p
WHERE p.subscription = @subscription::text AND p.position > @after::bigint
ORDER BY p.position
LIMIT @page_size::integer;

-- name: ParkedStreams :many
-- Which of these streams have an event put aside; any at all, if none is named.
SELECT DISTINCT p.stream_id
FROM eventstream.parked_events AS p
WHERE p.subscription = @subscription::text
    AND (cardinality(@stream_ids::text[]) = 0 OR p.stream_id = ANY (@stream_ids::text[]));

-- name: ParkedNext :one
-- The first event of a stream that is put aside, after a position; kept from others who replay.
SELECT p.position, p.stream_id, p.tries
FROM eventstream.parked_events AS p
WHERE p.subscription = @subscription::text AND p.stream_id = @stream_id::text
ORDER BY p.position
LIMIT 1
FOR UPDATE;

-- name: ParkedRemove :execrows
-- Nothing is removed if the transaction is not the one that the token was set in.
DELETE FROM eventstream.parked_events AS p
WHERE p.subscription = @subscription::text AND p.position = @position::bigint
    AND current_setting('eventstream.batch', true) = @token::text;

-- name: ParkedFail :exec
-- Adds tries, or none, to those of an event that is still put aside, and says what went wrong.
UPDATE eventstream.parked_events AS p
SET tries = p.tries + @tries::integer, error = @error::text
WHERE p.subscription = @subscription::text AND p.position = @position::bigint;
