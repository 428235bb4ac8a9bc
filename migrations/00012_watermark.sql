-- +goose Up
-- The watermark: how far a stream is complete, and what becomes of events that wait for a hole to be filled.
-- Locks: none at install. At run time the advisory lock of the stream in hand, and the in-flight lock of the gate.
-- +goose StatementBegin

-- Moves what no longer waits: the run of pending events right above the watermark. Events are the truth: what waits and
-- was overtaken by a raw INSERT is dropped if it is the same event, and set apart on record if it is another one, if
-- its id is elsewhere by now, or if the stream has become one of another tenant or partition.
CREATE FUNCTION eventstream.advance_watermark(p_stream_id text) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_ignored text := eventstream.lock_streams(ARRAY[p_stream_id]);
    v_watermark bigint;
    v_tenant_id text;
    v_partition_id integer;
    v_end bigint;
BEGIN
    -- Read after the lock, in a statement of its own. The first event fixes what the stream is, also while it waits.
    SELECT s.version, s.tenant_id, s.partition_id INTO v_watermark, v_tenant_id, v_partition_id
    FROM (
        (SELECT e.version, e.tenant_id, e.partition_id FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id
            ORDER BY e.version DESC LIMIT 1)
        UNION ALL
        SELECT 0, p.tenant_id, p.partition_id FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.version = 1
    ) AS s
    ORDER BY s.version DESC
    LIMIT 1;
    v_watermark := coalesce(v_watermark, 0);
    IF NOT EXISTS (SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.version <= v_watermark + 1) THEN
        RETURN v_watermark;
    END IF;
    WITH overtaken AS (
        DELETE FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND (
            p.version <= v_watermark
            OR p.tenant_id <> v_tenant_id
            OR p.partition_id <> v_partition_id
            OR (SELECT true FROM eventstream.events AS e WHERE e.event_id = p.event_id) IS NOT NULL)
        RETURNING p.*
    )
    INSERT INTO eventstream.discarded_events (
        version, event_id, occurred_at, received_at, partition_id, stream_id, tenant_id, type, payload, data, metadata, reason
    )
    SELECT o.version, o.event_id, o.occurred_at, o.received_at, o.partition_id, o.stream_id, o.tenant_id, o.type, o.payload, o.data,
        o.metadata, 'conflict: by now its version is another event, its id is elsewhere, or the stream is of another tenant or partition'
    FROM overtaken AS o
    LEFT JOIN LATERAL (
        SELECT true AS same FROM eventstream.events AS e
        WHERE e.stream_id = o.stream_id AND e.version = o.version AND e.event_id = o.event_id AND e.type = o.type
            AND e.payload = o.payload AND e.data IS NOT DISTINCT FROM o.data
        OFFSET 0
    ) AS k ON true
    WHERE k.same IS NULL;

    IF (SELECT true FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.version = v_watermark + 1) IS NULL THEN
        RETURN v_watermark;
    END IF;
    -- In version order, the first that waits alone ends the run: the scan stops at the first hole.
    SELECT p.version INTO v_end
    FROM eventstream.pending_events AS p
    WHERE p.stream_id = p_stream_id
        AND p.version > v_watermark
        AND (SELECT true FROM eventstream.pending_events AS q WHERE q.stream_id = p_stream_id AND q.version = p.version + 1) IS NULL
    ORDER BY p.version
    LIMIT 1;
    WITH moved AS (
        DELETE FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND p.version > v_watermark AND p.version <= v_end
        RETURNING p.*
    )
    INSERT INTO eventstream.events (
        version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
    )
    SELECT m.version, m.event_id, m.occurred_at, clock_timestamp(), m.partition_id, m.stream_id, m.tenant_id, m.type, m.payload, m.data,
        m.metadata
    FROM moved AS m
    ORDER BY m.version;
    RETURN v_end;
EXCEPTION WHEN unique_violation THEN
    -- A raw INSERT, which takes no lock, was faster: it is what the stream holds now.
    PERFORM eventstream.refuse_sequence();
    PERFORM eventstream.refuse_old_snapshot();
    IF NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version > v_watermark)
        AND NOT EXISTS (
            SELECT FROM eventstream.pending_events AS p
            WHERE p.stream_id = p_stream_id AND (SELECT true FROM eventstream.events AS e WHERE e.event_id = p.event_id))
    THEN
        RAISE;
    END IF;
    RETURN eventstream.advance_watermark(p_stream_id);
END;
$$;

COMMENT ON FUNCTION eventstream.advance_watermark IS
    'The watermark-update function: moves the events that wait right above the stream''s watermark into events; '
    'returns the new watermark, 0 for an unknown stream.';

CREATE FUNCTION eventstream.discard_pending(p_stream_id text, p_reason text, p_from_version bigint DEFAULT 1) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_ignored text := eventstream.lock_streams(ARRAY[p_stream_id]);
    v_discarded bigint;
BEGIN
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    END IF;
    WITH gone AS (
        DELETE FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND p.version >= coalesce(p_from_version, 1)
        RETURNING p.*
    )
    INSERT INTO eventstream.discarded_events (
        version, event_id, occurred_at, received_at, partition_id, stream_id, tenant_id, type, payload, data, metadata, reason
    )
    SELECT g.version, g.event_id, g.occurred_at, g.received_at, g.partition_id, g.stream_id, g.tenant_id, g.type, g.payload, g.data,
        g.metadata, p_reason
    FROM gone AS g;
    GET DIAGNOSTICS v_discarded = ROW_COUNT;
    RETURN v_discarded;
END;
$$;

COMMENT ON FUNCTION eventstream.discard_pending IS
    'Gives up what waits of a stream, from a version on, because nothing will ever fill the hole before it. It moves '
    'to discarded_events, with who did it and why; the stream takes appends again. Returns how many events that were.';

REVOKE EXECUTE ON FUNCTION eventstream.advance_watermark, eventstream.discard_pending FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.discard_pending, eventstream.advance_watermark;
