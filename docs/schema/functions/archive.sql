-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.archive(p_stream_id text, p_before_version bigint, p_max_events integer DEFAULT 10000)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_ignored text;
    v_last bigint;
    v_from bigint;
    v_moved bigint;
BEGIN
    IF (p_before_version >= 1) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('before_version', p_before_version::text, '1 or more');
    ELSIF (p_max_events BETWEEN 1 AND 1000000) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('max_events', p_max_events::text, '1 to 1000000');
    END IF;
    -- The lock of what appends and erases. A statement of its own: the next one sees what it waited for. Not waited
    -- for while events is locked: whoever has it may wait for events.
    IF NOT eventstream.attach_archive() THEN
        v_ignored := eventstream.lock_stream(p_stream_id);
    ELSIF NOT pg_try_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_id)) THEN
        RAISE EXCEPTION USING ERRCODE = 'deadlock_detected',
            MESSAGE = format('stream %L is in use at the moment that the archive is attached', p_stream_id),
            HINT = 'Try again, or SELECT eventstream.attach_archive() first.';
    END IF;
    SELECT e.version INTO v_last
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id
    ORDER BY e.version DESC
    LIMIT 1;
    IF v_last IS NULL THEN
        PERFORM eventstream.refuse_unknown_stream(p_stream_id, 'Check its id.');
    END IF;
    SELECT e.version INTO v_from
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version > 1
    ORDER BY e.version
    LIMIT 1;
    INSERT INTO eventstream.archived_events (
        position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data,
        metadata
    )
    SELECT e.position, e.version, e.event_id, e.occurred_at, e.recorded_at, e.partition_id, e.stream_id, e.tenant_id,
        e.type, e.payload, e.data, e.metadata
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version >= v_from
        AND e.version < least(p_before_version, v_last, v_from + p_max_events)
    ORDER BY e.version;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    RETURN v_moved;
EXCEPTION WHEN unique_violation OR duplicate_table THEN
    -- Archived, or attached, after the snapshot of this transaction was taken.
    PERFORM eventstream.refuse_old_snapshot();
    RAISE;
END;
$function$;

COMMENT ON FUNCTION eventstream.archive(text,bigint,integer) IS 'Moves events of a stream below a version to archived_events, oldest first, p_max_events (1 to 1,000,000) at most; the first and the last event of the stream stay. Returns how many it moved: fewer than p_max_events, or 0, once there are no more. Call it again until then, each time in a transaction of its own.';

REVOKE ALL ON FUNCTION eventstream.archive(text,bigint,integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.archive(text,bigint,integer) TO eventstream_eraser;
