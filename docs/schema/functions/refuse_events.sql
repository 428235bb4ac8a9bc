-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_events(p_stream_id text, p_tenant_id text, p_partition_id integer, p_first_version bigint, p_last_version bigint, p_first_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.refuse_events(text,text,integer,bigint,bigint,bigint) IS 'Raises ES002, ES003, ES006 or ES007 for rows that do not follow the head of their stream. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_events(text,text,integer,bigint,bigint,bigint) TO PUBLIC;
