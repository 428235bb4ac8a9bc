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
-- A page of the log, upwards. An event that is not light comes without what makes it large, in this query and the next
-- four: its payload or its metadata is NULL. The reader stops before it, and goes on with LogListHeavy. So a page is
-- bounded, whatever follows events that were small.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
FROM eventstream.events AS e
WHERE e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position
LIMIT @page_size::integer;

-- name: LogListBackward :many
-- A page of the log, downwards.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
FROM eventstream.events AS e
WHERE e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position DESC
LIMIT @page_size::integer;

-- name: LogListPartitions :many
-- A page of the events of some partitions, upwards.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
FROM eventstream.events AS e
WHERE e.partition_id = ANY (@partition_ids::integer[]) AND e.position > @after::bigint AND e.position <= @until::bigint
ORDER BY e.position
LIMIT @page_size::integer;

-- name: LogListFewPartitions :many
-- The same for one or two among many, each by its own index: the planner likes to go through the log of all of them.
SELECT
    e.position,
    e.version,
    e.event_id,
    e.occurred_at,
    e.recorded_at,
    e.partition_id,
    e.stream_id,
    e.tenant_id,
    e.type,
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
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
    CASE
        WHEN eventstream.is_light(e.payload) AND (e.data IS NULL OR eventstream.is_light(e.data)) THEN e.payload
    END AS payload,
    CASE WHEN eventstream.is_light(e.data) THEN e.data END AS data,
    CASE WHEN eventstream.is_light(e.metadata) THEN e.metadata END AS metadata
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

-- name: LogListHeavy :many
-- A page where events are large: as many as have max_bytes together, at least one, and then the next one without what it says.
SELECT
    w.position::bigint AS position,
    w.version::bigint AS version,
    w.event_id::uuid AS event_id,
    w.occurred_at::timestamptz AS occurred_at,
    w.recorded_at::timestamptz AS recorded_at,
    w.partition_id::integer AS partition_id,
    w.stream_id::text AS stream_id,
    w.tenant_id::text AS tenant_id,
    w.type::text AS type,
    CASE WHEN w.fits THEN w.payload END::jsonb AS payload,
    CASE WHEN w.fits THEN w.data END::bytea AS data,
    CASE WHEN w.fits THEN w.metadata END::jsonb AS metadata
FROM (
    SELECT
        s.*,
        s.bytes <= @max_bytes::bigint OR s.number = 1 AS fits
    FROM (
        SELECT
            e.*,
            CASE WHEN @backwards::boolean THEN -e.position ELSE e.position END AS place,
            eventstream.event_weight(e.payload, e.data, e.metadata) AS weight,
            row_number() OVER w AS number,
            sum(eventstream.event_weight(e.payload, e.data, e.metadata)) OVER w AS bytes
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
        WINDOW w AS (ORDER BY CASE WHEN @backwards::boolean THEN -e.position ELSE e.position END ROWS UNBOUNDED PRECEDING)
    ) AS s
    -- Whatever the first one weighs, the second tells whether that was all.
    WHERE s.bytes - s.weight <= @max_bytes::bigint OR s.number <= 2
) AS w
ORDER BY w.place;

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
