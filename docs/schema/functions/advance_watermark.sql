-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.advance_watermark(p_stream_id text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    v_watermark bigint;
    v_end bigint;
BEGIN
    SELECT s.watermark INTO v_watermark
    FROM eventstream.streams AS s
    WHERE s.stream_id = p_stream_id
    FOR NO KEY UPDATE;
    IF NOT EXISTS (
        SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.version = v_watermark + 1
    ) THEN
        RETURN coalesce(v_watermark, 0);
    END IF;

    -- In version order, the first that waits alone ends the run: the scan stops at the first hole.
    SELECT p.version INTO v_end
    FROM eventstream.pending_events AS p
    WHERE p.stream_id = p_stream_id
        AND p.version > v_watermark
        AND NOT EXISTS (
            SELECT FROM eventstream.pending_events AS q WHERE q.stream_id = p_stream_id AND q.version = p.version + 1
        )
    ORDER BY p.version
    LIMIT 1;

    PERFORM set_config('eventstream.gate', 'advance', true);
    WITH moved AS (
        DELETE FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND p.version > v_watermark AND p.version <= v_end
        RETURNING p.*
    )
    INSERT INTO eventstream.events (
        version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
    )
    SELECT m.version, m.event_id, m.occurred_at, m.partition_id, m.stream_id, m.tenant_id, m.type, m.payload, m.data, m.metadata
    FROM moved AS m
    ORDER BY m.version;
    PERFORM set_config('eventstream.gate', '', true);
    RETURN v_end;
END;
$function$;

COMMENT ON FUNCTION eventstream.advance_watermark(text) IS 'Moves the events that wait right above the stream''s watermark into events; returns the new watermark, 0 for an unknown stream.';

REVOKE ALL ON FUNCTION eventstream.advance_watermark(text) FROM PUBLIC;
