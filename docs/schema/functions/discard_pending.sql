-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.discard_pending(p_stream_id text, p_reason text, p_from_version bigint DEFAULT 1)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.discard_pending(text,text,bigint) IS 'Gives up what waits of a stream, from a version on, because nothing will ever fill the hole before it. It moves to discarded_events, with who did it and why; the stream takes appends again. Returns how many events that were.';

REVOKE ALL ON FUNCTION eventstream.discard_pending(text,text,bigint) FROM PUBLIC;
