-- +goose Up
-- How the head of a stream follows its events, or refuses them. The gate (00008) calls these.
-- Locks: none at install. At run time the heads of the streams in hand, in order of stream_id.

-- Says what is wrong with rows that the head of their stream cannot take. Reads the head again: the row is locked or was never there.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_events(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer,
    p_first_version bigint,
    p_last_version bigint,
    p_first_position bigint
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
AS $$
DECLARE
    v_head eventstream.streams;
    v_next bigint;
BEGIN
    SELECT s.* INTO v_head FROM eventstream.streams AS s WHERE s.stream_id = p_stream_id;
    v_next := coalesce(v_head.watermark, 0) + 1;
    IF v_head.tenant_id <> p_tenant_id THEN
        PERFORM eventstream.refuse(
            'ES003',
            format('stream %L belongs to tenant %L, the event to tenant %L', p_stream_id, v_head.tenant_id, p_tenant_id),
            jsonb_build_object('stream_id', p_stream_id, 'stream_tenant', v_head.tenant_id, 'event_tenant', p_tenant_id),
            'A stream has one tenant, that of its first event. Append with it, or to another stream.');
    ELSIF v_head.partition_id <> p_partition_id THEN
        PERFORM eventstream.refuse(
            'ES007',
            format('stream %L is in partition %s, the event in partition %s', p_stream_id, v_head.partition_id, p_partition_id),
            jsonb_build_object('stream_id', p_stream_id, 'stream_partition', v_head.partition_id,
                'event_partition', p_partition_id),
            'A stream stays in the partition that it was created in. Give that one.');
    ELSIF p_first_version <> v_next THEN
        PERFORM eventstream.refuse(
            'ES002',
            format('stream %L takes version %s next, not %s', p_stream_id, v_next, p_first_version),
            jsonb_build_object('stream_id', p_stream_id, 'next_version', v_next, 'first_version', p_first_version,
                'last_version', p_last_version, 'current_version', coalesce(v_head.current_version, 0)),
            'Versions run 1, 2, 3 ... without a gap. For events that arrive out of order use eventstream.ingest.');
    ELSIF v_head.last_position >= p_first_position THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('version %s of stream %L drew position %s, but version %s before it has position %s',
                p_first_version, p_stream_id, p_first_position, v_head.watermark, v_head.last_position),
            jsonb_build_object('stream_id', p_stream_id, 'version', p_first_version, 'position', p_first_position,
                'last_position', v_head.last_position),
            'Another writer of this stream drew its position in between. Try again, or use eventstream.append, which locks first.');
    ELSE
        PERFORM eventstream.refuse(
            'ES002',
            format('versions %s to %s of stream %L include one that waits in pending_events', p_first_version, p_last_version,
                p_stream_id),
            jsonb_build_object('stream_id', p_stream_id, 'next_version', v_next, 'first_version', p_first_version,
                'last_version', p_last_version, 'current_version', v_head.current_version),
            'Fill the hole with eventstream.ingest, which knows what waits.');
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_events(text, text, integer, bigint, bigint, bigint) IS
    'Raises ES002, ES003, ES006 or ES007 for rows that do not follow the head of their stream. Never returns.';

-- One run of versions of one stream has entered events: its head follows, or the statement is refused.
-- Planner settings: a plan made while streams is small would scan it whole and be kept while it grows.
-- +goose StatementBegin
CREATE FUNCTION eventstream.move_head(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer,
    p_first_version bigint,
    p_last_version bigint,
    p_first_position bigint,
    p_last_position bigint
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
AS $$
DECLARE
    v_hole boolean;
BEGIN
    -- The common case in one statement: the stream is there, nothing is missing, and the events follow it.
    UPDATE eventstream.streams AS s
    SET current_version = p_last_version,
        watermark = p_last_version,
        last_position = p_last_position,
        updated_at = clock_timestamp()
    WHERE s.stream_id = p_stream_id
        AND s.watermark = p_first_version - 1
        AND s.current_version = p_first_version - 1
        AND s.tenant_id = p_tenant_id
        AND s.partition_id = p_partition_id
        AND s.last_position < p_first_position;
    IF FOUND THEN
        RETURN true;
    END IF;

    IF p_first_version = 1 THEN
        -- Two writers of version 1 meet at the key of events already; whoever comes here second finds the head there.
        INSERT INTO eventstream.streams (current_version, watermark, last_position, partition_id, stream_id, tenant_id)
        VALUES (p_last_version, p_last_version, p_last_position, p_partition_id, p_stream_id, p_tenant_id)
        ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;

    -- A stream with a hole takes what fills it, but nothing that waits in pending_events: it would be there twice. Locked first, so
    -- that the statement after it sees what any other writer left waiting.
    SELECT s.current_version > s.watermark INTO v_hole
    FROM eventstream.streams AS s
    WHERE s.stream_id = p_stream_id
    FOR NO KEY UPDATE;
    IF v_hole AND NOT EXISTS (
        SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.version <= p_last_version
    ) THEN
        UPDATE eventstream.streams AS s
        SET current_version = greatest(s.current_version, p_last_version),
            watermark = p_last_version,
            last_position = p_last_position,
            updated_at = clock_timestamp()
        WHERE s.stream_id = p_stream_id
            AND s.watermark = p_first_version - 1
            AND s.tenant_id = p_tenant_id
            AND s.partition_id = p_partition_id
            AND s.last_position < p_first_position;
        IF FOUND THEN
            RETURN true;
        END IF;
    END IF;
    PERFORM eventstream.refuse_events(
        p_stream_id, p_tenant_id, p_partition_id, p_first_version, p_last_version, p_first_position);
    RETURN false;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.move_head(text, text, integer, bigint, bigint, bigint, bigint) IS
    'Moves or creates the head of a stream for a run of new events, or refuses them. For the gate alone.';

-- The same for many streams in two statements. What they leave, streams with holes and what must be refused, goes one by one.
-- +goose StatementBegin
CREATE FUNCTION eventstream.move_heads(
    p_stream_ids text[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_first_versions bigint[],
    p_last_versions bigint[],
    p_first_positions bigint[],
    p_last_positions bigint[]
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_moved bigint;
    v_created bigint := 0;
    r record;
BEGIN
    -- Many at once would compare each with all the others.
    IF cardinality(p_stream_ids) > 500 THEN
        FOR v_from IN 1 .. cardinality(p_stream_ids) BY 500 LOOP
            PERFORM eventstream.move_heads(
                p_stream_ids[v_from:v_from + 499], p_tenant_ids[v_from:v_from + 499], p_partition_ids[v_from:v_from + 499],
                p_first_versions[v_from:v_from + 499], p_last_versions[v_from:v_from + 499],
                p_first_positions[v_from:v_from + 499], p_last_positions[v_from:v_from + 499]);
        END LOOP;
        RETURN true;
    END IF;

    -- The runs come in order of stream_id, and a nested loop keeps it: heads are locked in that order.
    UPDATE eventstream.streams AS s
    SET current_version = u.last_version,
        watermark = u.last_version,
        last_position = u.last_position,
        updated_at = clock_timestamp()
    FROM unnest(
        p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_first_positions, p_last_positions
    ) AS u (stream_id, tenant_id, partition_id, first_version, last_version, first_position, last_position)
    WHERE s.stream_id = u.stream_id
        -- Leaves the planner no way that reads other heads, whatever the size of the table when it planned.
        AND s.stream_id = ANY (p_stream_ids)
        AND s.watermark = u.first_version - 1
        AND s.current_version = u.first_version - 1
        AND s.tenant_id = u.tenant_id
        AND s.partition_id = u.partition_id
        AND s.last_position < u.first_position;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    IF v_moved = cardinality(p_stream_ids) THEN
        RETURN true;
    END IF;

    INSERT INTO eventstream.streams (current_version, watermark, last_position, partition_id, stream_id, tenant_id)
    SELECT u.last_version, u.last_version, u.last_position, u.partition_id, u.stream_id, u.tenant_id
    FROM unnest(
        p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_last_positions
    ) AS u (stream_id, tenant_id, partition_id, first_version, last_version, last_position)
    WHERE u.first_version = 1
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    GET DIAGNOSTICS v_created = ROW_COUNT;
    IF v_moved + v_created = cardinality(p_stream_ids) THEN
        RETURN true;
    END IF;

    FOR r IN
        SELECT u.*
        FROM unnest(
            p_stream_ids, p_tenant_ids, p_partition_ids, p_first_versions, p_last_versions, p_first_positions, p_last_positions
        ) AS u (stream_id, tenant_id, partition_id, first_version, last_version, first_position, last_position)
        LEFT JOIN LATERAL (
            SELECT h.last_position FROM eventstream.streams AS h WHERE h.stream_id = u.stream_id OFFSET 0
        ) AS s ON true
        WHERE s.last_position IS DISTINCT FROM u.last_position
    LOOP
        PERFORM eventstream.move_head(
            r.stream_id, r.tenant_id, r.partition_id,
            r.first_version, r.last_version, r.first_position, r.last_position);
    END LOOP;
    RETURN true;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.move_heads(text[], text[], integer[], bigint[], bigint[], bigint[], bigint[]) IS
    'move_head for the runs of many streams. For the gate alone.';

-- +goose Down
DROP FUNCTION eventstream.move_heads(text[], text[], integer[], bigint[], bigint[], bigint[], bigint[]);
DROP FUNCTION eventstream.move_head(text, text, integer, bigint, bigint, bigint, bigint);
DROP FUNCTION eventstream.refuse_events(text, text, integer, bigint, bigint, bigint);
