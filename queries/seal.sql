-- What package seal reads. It computes digests by itself, so columns come as they are; times in the bytes of the wire, since a
-- time that was tampered with need not be one that Go has.

-- name: Seal :many
-- Seals the next block; no row if there is nothing to seal.
SELECT s.kept_seal::text AS kept_seal
FROM eventstream.seal(@max_events::integer) AS s;

-- name: SealKept :one
-- A seal as text; the newest one for block 0, and an empty text if there is none.
SELECT coalesce(eventstream.kept_seal(nullif(@block::bigint, 0)), '')::text AS kept_seal;

-- name: SealList :many
-- Seals from one block to another, without what is in them.
SELECT
    t.store_id,
    s.block,
    s.from_position,
    s.to_position,
    s.last_sequence,
    timestamptz_send(s.sealed_at)::bytea AS sealed_at,
    s.event_count,
    s.previous_seal,
    s.skipped_seal,
    s.merkle_root,
    s.seal
FROM eventstream.seals AS s
CROSS JOIN eventstream.store AS t
WHERE s.block >= @from_block::bigint AND s.block <= @to_block::bigint
ORDER BY s.block
LIMIT @page_size::integer;

-- name: SealGetContent :one
-- The digests and positions of a block's events.
SELECT s.leaves, s.positions
FROM eventstream.seals AS s
WHERE s.block = @block::bigint;

-- name: SealBlockOf :one
-- The block that covers a position.
SELECT s.block
FROM eventstream.seals AS s
WHERE s.to_position >= @position::bigint
ORDER BY s.to_position
LIMIT 1;

-- name: SealEventList :many
-- Events of a range of positions, in order, every column in the bytes that are hashed; of those that were erased, the digests that were kept.
SELECT
    e.position,
    e.version,
    e.event_id,
    timestamptz_send(e.occurred_at)::bytea AS occurred_at,
    timestamptz_send(e.recorded_at)::bytea AS recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    e.payload::text AS payload,
    e.data,
    e.metadata::text AS metadata,
    x.payload_digest,
    x.data_digest,
    x.metadata_digest
FROM eventstream.events AS e
LEFT JOIN eventstream.erasures AS x
    ON e.metadata ? '$erased'
    AND x.stream_id = e.stream_id AND x.version = e.version AND x.event_id = e.event_id AND x.place = 'events'
WHERE e.position >= @from_position::bigint AND e.position <= @to_position::bigint
ORDER BY e.position
LIMIT @page_size::integer;

-- name: SealEventPosition :one
-- Where an event is in the log.
SELECT e.position
FROM eventstream.events AS e
WHERE e.stream_id = @stream_id::text AND e.version = @version::bigint;
