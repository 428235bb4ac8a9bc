-- +goose Up
-- What a writer missed who was refused with version_conflict, so that it decides anew without reading again.
-- Locks: none.
-- +goose StatementBegin

-- Beside append_batch() in one statement, and not inside: append_batch() runs with the rights of the owner, and cannot know
-- who calls it. session_user is not who: autovacuum evaluates the indexes of anybody's table in a superuser's session, so
-- a role that may append and not read could have its index function called there. This runs with the caller's rights.
-- VOLATILE, so that its query sees what append_batch() waited for, which the statement around both does not.
CREATE FUNCTION eventstream.newer_events(
    p_stream_id text,
    p_after bigint,
    p_limit integer,
    p_max_bytes bigint DEFAULT 1048576
) RETURNS SETOF eventstream.events
LANGUAGE plpgsql
VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    -- No error: it would take the outcome of the append with it.
    IF NOT has_table_privilege('eventstream.events', 'SELECT') THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT w.position, w.version, w.event_id, w.occurred_at, w.recorded_at, w.partition_id, w.stream_id, w.tenant_id, w.type,
        w.payload, w.data, w.metadata
    FROM (
        -- 288 bytes are what an event takes besides what it says.
        SELECT e.*, sum(288 + eventstream.event_weight(e.payload, e.data, e.metadata)) OVER (ORDER BY e.version) AS bytes
        FROM (
            SELECT q.*
            FROM eventstream.events AS q
            WHERE q.stream_id = p_stream_id AND q.version > p_after
            ORDER BY q.version
            LIMIT least(p_limit, 1000)
        ) AS e
    ) AS w
    WHERE w.bytes <= p_max_bytes
    ORDER BY w.version;
END;
$$;

COMMENT ON FUNCTION eventstream.newer_events IS
    'The events of a stream after a version, oldest first: p_limit and 1000 at most, of about p_max_bytes at most, '
    'none for who may not read eventstream.events. Beside append_batch in one statement, it gives what an append '
    'missed that is refused with version_conflict.';
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.newer_events;
