-- name: LogLook :one
-- How far the log can be read by a later statement, and how far that is kept; one_snapshot says that it is the kept position, since the
-- transaction has one snapshot for all of its statements. due: keeping it is worth a transaction.
SELECT
    p.stable_position::bigint AS stable_position,
    l.stable_position::bigint AS kept_position,
    (current_setting('transaction_isolation') IN ('repeatable read', 'serializable') AND NOT pg_is_in_recovery())::boolean AS one_snapshot,
    (p.stable_position > l.stable_position
        -- A time in the future dates from before the clock was set back.
        AND (l.updated_at BETWEEN clock_timestamp() - interval '100 ms' AND clock_timestamp()) IS NOT TRUE)::boolean AS due
FROM (SELECT eventstream.stable_position() AS stable_position OFFSET 0) AS p
JOIN eventstream.log_state AS l ON l.lane = 0;

-- name: LogAdvance :one
-- The same, kept in log_state if that is older than min_age.
SELECT eventstream.advance_stable_position((@min_age_ms::bigint || ' ms')::interval)::bigint AS stable_position;

-- name: LogListForward :many
-- A page of the log, upwards.
SELECT e.*
FROM eventstream.events AS e
WHERE e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position
LIMIT @page_size::integer;

-- name: LogListBackward :many
-- A page of the log, downwards.
SELECT e.*
FROM eventstream.events AS e
WHERE e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position DESC
LIMIT @page_size::integer;

-- name: LogListPartitions :many
-- A page of the events of some partitions, upwards.
SELECT e.*
FROM eventstream.events AS e
WHERE e.partition_id = ANY (@partition_ids::integer[]) AND e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position
LIMIT @page_size::integer;

-- name: LogListFewPartitions :many
-- The same for one or two among many, each by its own index: the planner likes to go through the log of all of them.
SELECT e.*
FROM unnest(@partition_ids::integer[]) AS p (id)
CROSS JOIN LATERAL (
    SELECT q.*
    FROM eventstream.events AS q
    WHERE (q.partition_id, q.position) > (p.id, @after::bigint) AND (q.partition_id, q.position) <= (p.id, @until::bigint)
    ORDER BY q.partition_id, q.position
    LIMIT @page_size::integer
) AS e
ORDER BY e.position
LIMIT @page_size::integer;

-- name: LogListFiltered :many
-- A page of the events that a filter selects; NULL selects all.
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
    e.payload::jsonb AS payload,
    e.data::bytea AS data,
    e.metadata::jsonb AS metadata
FROM eventstream.read_log(
    @after::bigint,
    @until::bigint,
    @page_size::integer,
    @backwards::boolean,
    @partition_ids::integer[],
    sqlc.narg(category)::text,
    @types::text[],
    sqlc.narg(tenant_id)::text
) AS e;

-- name: LogMarks :many
-- What numbers the events of a page in the whole log.
SELECT m.mark_position::bigint AS position, m.mark_sequence::bigint AS sequence, m.removed::boolean AS removed
FROM eventstream.log_marks_between(
    @from_position::bigint,
    @to_position::bigint,
    @known_position::bigint,
    @known_sequence::bigint
) AS m;

-- name: LogPartitionSequences :many
-- What numbers events in their partitions.
SELECT s.sequence::bigint AS sequence
FROM eventstream.partition_sequences(
    @partition_ids::integer[],
    @positions::bigint[],
    @known_positions::bigint[],
    @known_sequences::bigint[]
) AS s;

-- name: LogSequenceAt :one
-- How many events there are at or below a stable position.
SELECT eventstream.sequence_at(@position::bigint)::bigint AS sequence;

-- name: LogResolveStart :one
-- The position before the first event that a start stands for, and partitions that start further on.
SELECT
    eventstream.start_checkpoint(@start::jsonb, @stable::bigint)::bigint AS checkpoint,
    eventstream.start_partitions(@start::jsonb, @stable::bigint)::jsonb AS partition_positions;

-- name: LogPositionOfSequence :one
-- Where the event of a sequence number is; the stable position for the number after the last.
SELECT least(coalesce(eventstream.position_of_sequence(@sequence::bigint, @stable::bigint), @stable), @stable)::bigint AS position;

-- name: LogHoldsEvent :one
-- Whether the log is still the one in which an event was read.
SELECT eventstream.holds_event(@position::bigint, @event_id::uuid)::boolean AS holds;
