-- name: TimerSetAt :one
-- Sets a timer, and returns when it is due. An empty id means a new one.
SELECT eventstream.set_timer(
    p_process => @process::text,
    p_key => @key::text,
    p_name => @name::text,
    p_due_at => @due_at::timestamptz,
    p_payload => @payload::jsonb,
    p_timer_id => nullif(@timer_id::text, '')::uuid,
    p_metadata => sqlc.narg(metadata)::jsonb)::timestamptz AS due_at;

-- name: TimerSetAfter :one
-- Sets a timer that is due after a while, by the database's clock.
SELECT eventstream.set_timer(
    p_process => @process::text,
    p_key => @key::text,
    p_name => @name::text,
    p_after => @after::interval,
    p_payload => @payload::jsonb,
    p_timer_id => nullif(@timer_id::text, '')::uuid,
    p_metadata => sqlc.narg(metadata)::jsonb)::timestamptz AS due_at;

-- name: TimerCancel :one
-- How many timers were removed: one, or all of a key for an empty name.
SELECT eventstream.cancel_timers(@process::text, @key::text, nullif(@name::text, ''))::bigint AS cancelled;

-- name: TimerDue :many
-- Timers whose time has come, behind one of them.
SELECT t.next_at::timestamptz AS next_at, t.key::text AS key, t.name::text AS name, t.failed::boolean AS failed
FROM eventstream.due_timers(
    @process::text, @after_at::timestamptz, @after_key::text, @after_name::text, @page_size::integer) AS t;

-- name: TimerNext :one
-- In how many seconds the next timer of a process is tried; 0 or less if one is due. In the order of the index on what is to come: a minimum
-- would be looked for among all timers of the process where nobody analyzed the table.
SELECT
    coalesce(extract(epoch FROM n.next_at - clock_timestamp()), -1)::double precision AS seconds,
    (n.next_at IS NOT NULL)::boolean AS waits,
    pg_is_in_recovery()::boolean AS read_only
FROM (
    SELECT (
        SELECT t.next_at FROM eventstream.timers AS t
        WHERE t.process = @process::text AND t.parked_at IS NULL
        ORDER BY t.next_at, t.key, t.name
        LIMIT 1
    ) AS next_at
) AS n;

-- name: TimerTake :many
-- Takes timers out, for who handles them in the same transaction. No row for one that is not there to be taken.
SELECT
    t.key::text AS key,
    t.name::text AS name,
    t.timer_id::uuid AS timer_id,
    t.due_at::timestamptz AS due_at,
    t.set_at::timestamptz AS set_at,
    t.taken_at::timestamptz AS taken_at,
    t.tries::integer AS tries,
    t.payload::jsonb AS payload,
    t.metadata::jsonb AS metadata
FROM eventstream.take_timers(@process::text, @keys::text[], @names::text[]) AS t;

-- name: TimerFail :exec
-- Notes a failure: the timer is tried again after a pause, or parked.
SELECT eventstream.fail_timer(
    @process::text,
    @key::text,
    @name::text,
    (@timer_id::text)::uuid,
    @error::text,
    @tries::integer,
    @pause::interval,
    @park::boolean);

-- name: TimerRetry :one
SELECT eventstream.retry_timer(@process::text, @key::text, @name::text)::boolean AS found;

-- name: TimerList :many
-- Timers of a process, page by page.
SELECT
    t.key,
    t.name,
    t.timer_id,
    t.due_at,
    t.set_at,
    t.next_at,
    t.parked_at,
    t.tries,
    t.payload,
    coalesce(t.last_error, '')::text AS last_error
FROM eventstream.timers AS t
WHERE t.process = @process::text
    AND (t.key, t.name) > (@after_key::text, @after_name::text)
ORDER BY t.key, t.name
LIMIT @page_size::integer;

-- name: ProcessStateLock :many
-- What a process manager knows of these keys.
SELECT s.key::text AS key, s.state::jsonb AS state
FROM eventstream.lock_process_states(@process::text, @keys::text[]) AS s;

-- name: ProcessStateSave :exec
SELECT eventstream.save_process_states(
    @process::text,
    @new_keys::text[],
    (@new_states::text[])::jsonb[],
    @keys::text[],
    (@states::text[])::jsonb[],
    @ended::text[]);

-- name: ProcessStateGet :one
-- What a process manager knows of a key.
SELECT s.state, s.created_at, s.updated_at
FROM eventstream.process_states AS s
WHERE s.process = @process::text AND s.key = @key::text;
