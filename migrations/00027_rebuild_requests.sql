-- +goose Up
-- Requests to rebuild projections. A rebuild needs the code of the service (Setup and Apply), so whoever operates the
-- store records that one is wanted, and a process that runs the projection takes it up. Nobody owns a request: it is
-- open until it has ended, and the process that holds the lock of rebuild_key() works on it. So a process that dies
-- gives its request back by that.
-- Locks: none at install. At run time the row of the projection in subscriptions, and that of its request after it.
-- +goose StatementBegin

CREATE TABLE eventstream.rebuild_requests (
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_at timestamptz,
    ended_at timestamptz,
    request_id uuid NOT NULL DEFAULT gen_random_uuid(),
    takes integer NOT NULL DEFAULT 0,
    shard_count integer,
    in_place boolean NOT NULL,
    projection text COLLATE "C" NOT NULL,
    requested_by text NOT NULL DEFAULT session_user,
    taken_by text,
    outcome text,
    error text,
    CONSTRAINT rebuild_requests_pkey PRIMARY KEY (projection),
    CONSTRAINT rebuild_requests_projection_fkey FOREIGN KEY (projection)
        REFERENCES eventstream.subscriptions (name) ON DELETE CASCADE,
    CONSTRAINT rebuild_requests_shard_count_range
        CHECK (shard_count >= 1 AND shard_count <= eventstream.partition_count()),
    -- Who took it up is said with when, and how often it was.
    CONSTRAINT rebuild_requests_taken_whole CHECK (
        takes >= 0 AND (takes > 0) = (taken_at IS NOT NULL) AND (takes > 0) = (taken_by IS NOT NULL)),
    -- done: the new tables are live; failed: with the error; canceled: by request.
    CONSTRAINT rebuild_requests_ended_whole CHECK (
        (ended_at IS NULL) = (outcome IS NULL)
        AND (outcome IS NULL OR outcome IN ('done', 'failed', 'canceled'))
        AND (outcome IS NOT DISTINCT FROM 'failed') = (error IS NOT NULL))
);

COMMENT ON TABLE eventstream.rebuild_requests IS
    'The last request to rebuild each projection, by request_rebuild(): a process that runs the projection takes it '
    'up.';
COMMENT ON COLUMN eventstream.rebuild_requests.requested_at IS 'When it was requested.';
COMMENT ON COLUMN eventstream.rebuild_requests.taken_at IS 'When a process took it up last; NULL while none has.';
COMMENT ON COLUMN eventstream.rebuild_requests.ended_at IS 'When it ended; NULL while it is open.';
COMMENT ON COLUMN eventstream.rebuild_requests.request_id IS 'Names the request: the next one has another.';
COMMENT ON COLUMN eventstream.rebuild_requests.takes IS
    'How often it was taken up: more than once if a process died, shut down or lost the database meanwhile.';
COMMENT ON COLUMN eventstream.rebuild_requests.shard_count IS
    'How many shards the rebuild has; NULL for as many as the projection.';
COMMENT ON COLUMN eventstream.rebuild_requests.in_place IS
    'Whether the live tables are emptied and filled again, rather than new ones built beside them.';
COMMENT ON COLUMN eventstream.rebuild_requests.projection IS 'The projection.';
COMMENT ON COLUMN eventstream.rebuild_requests.requested_by IS 'The database user who requested it.';
COMMENT ON COLUMN eventstream.rebuild_requests.taken_by IS 'What the process that took it up last calls itself.';
COMMENT ON COLUMN eventstream.rebuild_requests.outcome IS
    'done: the new tables are live; failed: see error; canceled: by cancel_rebuild(). NULL while it is open.';
COMMENT ON COLUMN eventstream.rebuild_requests.error IS 'Why it failed.';

CREATE FUNCTION eventstream.lock_known_projection(p_name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    -- The subscription first: everybody who works on a projection locks that row first.
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    ELSIF v_is.delivery <> 'projection' OR v_is.rebuilds IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L is not that of a projection', p_name),
            jsonb_build_object('subscription', p_name, 'difference', format('delivery %s, now projection',
                CASE WHEN v_is.rebuilds IS NULL THEN v_is.delivery ELSE 'rebuild of ' || v_is.rebuilds END)),
            'Name a projection: SELECT projection FROM eventstream.audit_projections.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.lock_known_projection IS
    'Keeps a projection from everybody else until the transaction ends; ES010 if it is unknown, ES011 if it is none.';

CREATE FUNCTION eventstream.request_rebuild(
    p_name text,
    p_in_place boolean DEFAULT false,
    p_shard_count integer DEFAULT NULL
) RETURNS TABLE (
    outcome text,
    request_id uuid
)
LANGUAGE plpgsql
SECURITY DEFINER
ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_id uuid;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    PERFORM eventstream.lock_known_projection(p_name);
    SELECT q.request_id INTO v_id
    FROM eventstream.rebuild_requests AS q
    WHERE q.projection = p_name AND q.ended_at IS NULL;
    IF FOUND THEN
        RETURN QUERY SELECT 'open', v_id;
        RETURN;
    -- Without its subscription it is done, and drops the tables that it has replaced.
    ELSIF eventstream.is_rebuilding(p_name)
        AND EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name) THEN
        RETURN QUERY SELECT 'rebuilding', NULL::uuid;
        RETURN;
    END IF;
    DELETE FROM eventstream.rebuild_requests AS q WHERE q.projection = p_name;
    INSERT INTO eventstream.rebuild_requests AS q (projection, in_place, shard_count)
    VALUES (p_name, coalesce(p_in_place, false), p_shard_count)
    RETURNING q.request_id INTO v_id;
    RETURN QUERY SELECT 'requested', v_id;
END;
$$;

COMMENT ON FUNCTION eventstream.request_rebuild IS
    'Asks for a rebuild of a projection, which a process that runs it takes up. outcome: requested; open, if one was '
    'requested before and has not ended: request_id is that one''s; rebuilding, if one runs that nobody requested. '
    'ES010 for an unknown projection, ES011 for a subscription that is none.';

CREATE FUNCTION eventstream.cancel_rebuild(p_name text) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_takes integer;
BEGIN
    PERFORM eventstream.lock_known_projection(p_name);
    UPDATE eventstream.rebuild_requests AS q
    SET ended_at = clock_timestamp(), outcome = 'canceled'
    WHERE q.projection = p_name AND q.ended_at IS NULL
    RETURNING q.takes INTO v_takes;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What it has filled so far goes no further, and nobody has to begin it again.
    IF v_takes > 0 THEN
        PERFORM eventstream.delete_subscription(s.name) FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name;
    END IF;
    RETURN true;
END;
$$;

COMMENT ON FUNCTION eventstream.cancel_rebuild IS
    'Takes back a request to rebuild a projection, and ends the rebuild if a process is at it; whether one was open. '
    'Tables that were being filled in place stay incomplete, until a rebuild is done.';

CREATE FUNCTION eventstream.take_rebuild(p_name text, p_application text) RETURNS TABLE (
    request_id uuid,
    in_place boolean,
    shard_count integer,
    requested_by text
)
LANGUAGE plpgsql
SECURITY DEFINER
ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Without the lock two could be at it, and the one who looks at the row could not tell that nobody is.
    IF NOT eventstream.is_rebuilding(p_name) THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE eventstream.rebuild_requests AS q
    SET taken_at = clock_timestamp(), taken_by = p_application, takes = q.takes + 1
    WHERE q.projection = p_name AND q.ended_at IS NULL
    RETURNING q.request_id, q.in_place, q.shard_count, q.requested_by;
END;
$$;

COMMENT ON FUNCTION eventstream.take_rebuild IS
    'Takes up a request, for the process that holds the lock of rebuild_key(); no row if none is open.';

CREATE FUNCTION eventstream.end_rebuild(p_name text, p_request_id uuid, p_error text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstream.rebuild_requests AS q
    SET ended_at = clock_timestamp(),
        outcome = CASE WHEN p_error IS NULL THEN 'done' ELSE 'failed' END,
        error = left(p_error, 8192)
    WHERE q.projection = p_name AND q.request_id = p_request_id AND q.ended_at IS NULL AND q.takes > 0;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION eventstream.end_rebuild IS
    'Says that a request is done, in the transaction that makes the new tables live, or why it failed; false if it is '
    'not open any more, so that the caller gives its work up.';

CREATE VIEW eventstream.audit_projections AS
SELECT
    s.name AS projection,
    CASE
        WHEN s.tables_id IS NULL THEN 'its tables are not complete'
        WHEN NOT p.found THEN 'its schema does not exist'
        WHEN p.tables_id IS NULL THEN 'its schema is not marked as its own'
        WHEN p.tables_id <> s.tables_id THEN 'its checkpoint is not about the tables in its schema'
    END AS problem,
    r.name AS rebuild,
    CASE WHEN r.name IS NULL THEN NULL WHEN b.runs THEN 'running' ELSE 'interrupted' END AS rebuild_state,
    h.position AS rebuild_position,
    CASE WHEN r.name IS NULL THEN NULL ELSE b.last_position END AS last_position,
    r.created_at AS rebuild_since,
    coalesce(m.processes, 0) AS processes,
    CASE
        WHEN q.projection IS NULL THEN NULL
        WHEN q.outcome IS NOT NULL THEN q.outcome
        WHEN b.runs AND q.takes > 0 THEN 'running'
        ELSE 'waiting'
    END AS request_state,
    q.request_id,
    q.in_place AS request_in_place,
    q.shard_count AS request_shard_count,
    q.requested_by,
    q.requested_at,
    q.taken_by,
    q.taken_at,
    q.takes,
    q.ended_at,
    q.error AS request_error
FROM eventstream.subscriptions AS s
CROSS JOIN LATERAL eventstream.projection_schema(s.name, s.name) AS p
CROSS JOIN LATERAL (
    SELECT eventstream.is_rebuilding(s.name) AS runs, eventstream.last_position() AS last_position
) AS b
LEFT JOIN eventstream.subscriptions AS r ON r.rebuilds = s.name
LEFT JOIN LATERAL (
    SELECT min(d.position) AS position FROM eventstream.subscription_shards AS d WHERE d.subscription = r.name
) AS h ON true
LEFT JOIN (
    SELECT u.name, count(*) AS processes
    FROM eventstream.live_members() AS l
    CROSS JOIN unnest(l.subscriptions) AS u (name)
    GROUP BY u.name
) AS m ON m.name = s.name
LEFT JOIN eventstream.rebuild_requests AS q ON q.projection = s.name
WHERE s.delivery = 'projection' AND s.rebuilds IS NULL
ORDER BY s.name;

COMMENT ON VIEW eventstream.audit_projections IS
    'Projections: what is wrong with the tables of each, if anything is; how far a rebuild of it has come, if one runs '
    'or was interrupted; how many processes run it; and what became of the last request to rebuild it (request_state: '
    'waiting, running, done, failed or canceled).';

REVOKE EXECUTE ON FUNCTION
    eventstream.lock_known_projection, eventstream.request_rebuild, eventstream.cancel_rebuild,
    eventstream.take_rebuild, eventstream.end_rebuild
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP VIEW eventstream.audit_projections;
DROP FUNCTION
    eventstream.end_rebuild, eventstream.take_rebuild, eventstream.cancel_rebuild, eventstream.request_rebuild,
    eventstream.lock_known_projection;
DROP TABLE eventstream.rebuild_requests;
