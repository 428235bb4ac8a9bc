-- +goose Up
-- Listing and counting streams. A stream's first event stands for it, and where it stands is looked up for the streams
-- of a page alone.
-- Locks: none.
-- +goose StatementBegin

-- One stream, as the view has it, whatever statistics say: a plan made while the tables were empty is kept. Versions
-- begin at 1; that none is below keeps the planner from the small indexes of first events, of which it might read the
-- whole.
CREATE FUNCTION eventstream.get_stream(p_stream_id text) RETURNS SETOF eventstream.streams
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT p_stream_id COLLATE "C", coalesce(f.partition_id, w.partition_id), coalesce(f.tenant_id, w.tenant_id),
        greatest(l.version, w.version), coalesce(l.version, 0), coalesce(l.position, 0), coalesce(f.recorded_at, w.first_received_at),
        greatest(l.recorded_at, w.last_received_at)
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT e.version, e.position, e.recorded_at
        FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT e.partition_id, e.tenant_id, e.recorded_at
        FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version <= 1 ORDER BY e.version LIMIT 1
    ) AS f ON true
    LEFT JOIN LATERAL (
        SELECT max(p.version) AS version, min(p.partition_id) AS partition_id, min(p.tenant_id) AS tenant_id,
            min(p.received_at) AS first_received_at, max(p.received_at) AS last_received_at
        FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id
    ) AS w ON true
    WHERE l.version IS NOT NULL OR w.version IS NOT NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.get_stream IS 'The row of streams for one stream; none if it does not exist.';

CREATE FUNCTION eventstream.count_streams(
    p_from text DEFAULT '',
    p_to text DEFAULT NULL,
    p_tenant_id text DEFAULT NULL,
    p_partition_id integer DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_to text COLLATE "C" := coalesce(p_to, repeat(chr(1114111), 33));
BEGIN
    RETURN (
        SELECT count(*)
        FROM ONLY eventstream.events AS f
        WHERE f.version = 1
            AND (p_tenant_id IS NULL OR f.tenant_id = p_tenant_id)
            AND (p_partition_id IS NULL OR f.partition_id = p_partition_id)
            AND f.stream_id >= p_from AND f.stream_id < v_to
    ) + (
        SELECT count(DISTINCT p.stream_id)
        FROM eventstream.pending_events AS p
        WHERE (SELECT true FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id LIMIT 1) IS NULL
            AND (p_tenant_id IS NULL OR p.tenant_id = p_tenant_id)
            AND (p_partition_id IS NULL OR p.partition_id = p_partition_id)
            AND p.stream_id >= p_from AND p.stream_id < v_to
    );
END;
$$;

COMMENT ON FUNCTION eventstream.count_streams IS
    'How many streams there are, from p_from on and below p_to, of a tenant, of a partition: those that list_streams() '
    'would list.';

-- Planned for the values at hand (force_custom_plan), which drops the branches that are not asked for. Without a tenant
-- or a partition, the key is walked from stream to stream: what a page costs does not depend on how long its streams
-- are.
CREATE FUNCTION eventstream.list_streams(
    p_limit integer,
    p_after text DEFAULT '',
    p_from text DEFAULT '',
    p_to text DEFAULT NULL,
    p_tenant_id text DEFAULT NULL,
    p_partition_id integer DEFAULT NULL
) RETURNS SETOF eventstream.streams
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_start text COLLATE "C" := greatest(p_after COLLATE "C", p_from COLLATE "C");
    -- No text of 128 bytes is above this one.
    v_to text COLLATE "C" := coalesce(p_to, repeat(chr(1114111), 33));
BEGIN
    RETURN QUERY
    SELECT s.*
    FROM (
        (
            SELECT f.stream_id
            FROM ONLY eventstream.events AS f
            WHERE f.version = 1 AND f.tenant_id = p_tenant_id AND (p_partition_id IS NULL OR f.partition_id = p_partition_id)
                AND f.stream_id >= v_start AND f.stream_id > p_after AND f.stream_id < v_to
            ORDER BY f.stream_id
            LIMIT CASE WHEN p_tenant_id IS NULL THEN 0 ELSE p_limit END
        )
        UNION ALL
        (
            SELECT f.stream_id
            FROM ONLY eventstream.events AS f
            WHERE f.version = 1 AND f.partition_id = p_partition_id
                AND f.stream_id >= v_start AND f.stream_id > p_after AND f.stream_id < v_to
            ORDER BY f.stream_id
            LIMIT CASE WHEN p_tenant_id IS NULL AND p_partition_id IS NOT NULL THEN p_limit ELSE 0 END
        )
        UNION ALL
        (
            WITH RECURSIVE walk (stream_id) AS (
                (
                    SELECT e.stream_id FROM ONLY eventstream.events AS e
                    WHERE e.stream_id >= v_start AND e.stream_id > p_after AND e.stream_id < v_to
                    ORDER BY e.stream_id LIMIT 1
                )
                UNION ALL
                SELECT (
                    SELECT e.stream_id FROM ONLY eventstream.events AS e
                    WHERE e.stream_id > w.stream_id AND e.stream_id < v_to
                    ORDER BY e.stream_id LIMIT 1
                )
                FROM walk AS w
                WHERE w.stream_id IS NOT NULL
            )
            SELECT w.stream_id FROM walk AS w WHERE w.stream_id IS NOT NULL
            LIMIT CASE WHEN p_tenant_id IS NULL AND p_partition_id IS NULL THEN p_limit ELSE 0 END
        )
        UNION ALL
        -- Streams whose first event has not arrived yet.
        SELECT DISTINCT p.stream_id
        FROM eventstream.pending_events AS p
        WHERE p.stream_id >= v_start AND p.stream_id > p_after AND p.stream_id < v_to
            AND (p_tenant_id IS NULL OR p.tenant_id = p_tenant_id) AND (p_partition_id IS NULL OR p.partition_id = p_partition_id)
            AND (SELECT true FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id LIMIT 1) IS NULL
        ORDER BY 1
        LIMIT p_limit
    ) AS i
    CROSS JOIN LATERAL (
        SELECT k.* FROM eventstream.streams AS k WHERE k.stream_id = i.stream_id OFFSET 0
    ) AS s
    ORDER BY i.stream_id;
END;
$$;

COMMENT ON FUNCTION eventstream.list_streams IS
    'A page of streams in byte order of their ids: above p_after, from p_from on and below p_to, of a tenant, of a '
    'partition. The streams of category order are those from order- to order. (the character after -), and the stream '
    'order.';

-- The tail of the log says which streams changed last: a sort of all streams would read each of them. Windows of
-- positions, from the end, until there are enough.
CREATE FUNCTION eventstream.recent_streams(p_limit integer DEFAULT 20) RETURNS SETOF eventstream.streams
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_ids text[];
    v_window bigint := greatest(p_limit, 1)::bigint * 4;
    v_read bigint;
BEGIN
    IF coalesce(p_limit, 0) < 1 THEN
        RETURN;
    END IF;
    LOOP
        SELECT array_agg(r.stream_id ORDER BY r.position DESC), max(r.read) INTO v_ids, v_read
        FROM (
            SELECT t.stream_id, max(t.position) AS position, sum(count(*)) OVER () AS read
            FROM (SELECT e.stream_id, e.position FROM ONLY eventstream.events AS e ORDER BY e.position DESC LIMIT v_window) AS t
            GROUP BY t.stream_id
            ORDER BY max(t.position) DESC
        ) AS r;
        EXIT WHEN coalesce(cardinality(v_ids), 0) >= p_limit OR coalesce(v_read, 0) < v_window;
        v_window := v_window * 8;
    END LOOP;
    RETURN QUERY
    SELECT s.*
    FROM unnest(v_ids[:p_limit]) WITH ORDINALITY AS u (stream_id, nth)
    CROSS JOIN LATERAL (SELECT k.* FROM eventstream.streams AS k WHERE k.stream_id = u.stream_id OFFSET 0) AS s
    ORDER BY u.nth;
END;
$$;

COMMENT ON FUNCTION eventstream.recent_streams IS
    'The streams that got an event last, latest first, found from the end of the log.';
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.recent_streams, eventstream.list_streams, eventstream.count_streams, eventstream.get_stream;
