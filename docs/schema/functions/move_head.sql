-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.move_head(p_stream_id text, p_tenant_id text, p_partition_id integer, p_first_version bigint, p_last_version bigint, p_first_position bigint, p_last_position bigint)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.move_head(text,text,integer,bigint,bigint,bigint,bigint) IS 'Moves or creates the head of a stream for a run of new events, or refuses them. For the gate alone.';

GRANT EXECUTE ON FUNCTION eventstream.move_head(text,text,integer,bigint,bigint,bigint,bigint) TO PUBLIC;
