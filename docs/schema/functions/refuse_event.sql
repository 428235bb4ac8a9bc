-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_event(p_event eventstream.events)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_key bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 1)::bigint;
    v_last bigint := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
    v_before eventstream.events;
BEGIN
    IF (p_event.position > v_key AND p_event.position <= v_last) IS NOT TRUE THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('position %s of version %s of stream %L was not drawn by this transaction',
                p_event.position, p_event.version, p_event.stream_id),
            jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version, 'position', p_event.position,
                'drawn_above', v_key, 'sequence', v_last),
            'Leave position out: the database draws it.');
    END IF;
    PERFORM eventstream.refuse_sequence();
    PERFORM eventstream.refuse_values(p_event.stream_id, p_event.tenant_id, p_event.partition_id, p_event.type, p_event.metadata,
        p_event.occurred_at);
    PERFORM eventstream.refuse_content(p_event.event_id, p_event.payload, p_event.data, p_event.metadata);
    IF p_event.version < 1 THEN
        PERFORM eventstream.refuse_value('version', p_event.version::text, '1 or more');
    ELSIF NOT eventstream.is_now(p_event.recorded_at) THEN
        PERFORM eventstream.refuse_value('recorded_at', p_event.recorded_at::text, 'left out: it is the database''s clock at the insert');
    END IF;

    SELECT e.* INTO v_before
    FROM eventstream.events AS e
    WHERE e.stream_id = p_event.stream_id AND e.version < p_event.version
    ORDER BY e.version DESC
    LIMIT 1;
    IF v_before.tenant_id <> p_event.tenant_id AND eventstream.is_bound(eventstream.calling_role()) THEN
        v_before := NULL; -- Whose stream that is does not exist for who asks.
    END IF;
    IF coalesce(v_before.version, 0) <> p_event.version - 1 THEN
        -- What was committed after the snapshot of this transaction cannot be seen, and may be what is missing.
        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
                MESSAGE = format('version %s of stream %L has no predecessor in the snapshot of this transaction, which ends at version %s',
                    p_event.version, p_event.stream_id, coalesce(v_before.version, 0)),
                DETAIL = jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version,
                    'current_version', coalesce(v_before.version, 0))::text,
                HINT = 'Run the transaction again: a new snapshot sees what was appended meanwhile.';
        END IF;
        PERFORM eventstream.refuse(
            'ES002',
            format('stream %L takes version %s next, not %s', p_event.stream_id, coalesce(v_before.version, 0) + 1, p_event.version),
            jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version,
                'next_version', coalesce(v_before.version, 0) + 1, 'current_version', coalesce(v_before.version, 0)),
            'Versions run 1, 2, 3 ... without a gap. For events that arrive out of order use eventstream.ingest.');
    ELSIF v_before.tenant_id <> p_event.tenant_id THEN
        PERFORM eventstream.refuse_tenant(p_event.stream_id, v_before.tenant_id, p_event.tenant_id);
    ELSIF v_before.partition_id <> p_event.partition_id THEN
        PERFORM eventstream.refuse_partition(p_event.stream_id, v_before.partition_id, p_event.partition_id);
    ELSIF v_before.type = '$closed' THEN
        PERFORM eventstream.refuse_closed(p_event.stream_id, v_before.version);
    ELSIF v_before.position >= p_event.position THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('version %s of stream %L drew position %s, but version %s before it has position %s',
                p_event.version, p_event.stream_id, p_event.position, v_before.version, v_before.position),
            jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version, 'position', p_event.position,
                'last_position', v_before.position),
            'Insert the rows of a stream in order of version. If another writer drew in between, try again, or use '
            'eventstream.append, which locks first.');
    END IF;
    IF NOT EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p_event.stream_id) THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('the event before version %s of stream %L was committed at this very moment', p_event.version, p_event.stream_id),
            jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version, 'position', p_event.position),
            'Try again, or use eventstream.append, which locks first.');
    END IF;
    PERFORM eventstream.refuse(
        'ES002',
        format('version %s of stream %L waits in pending_events, or what waits of the stream is of another tenant or partition',
            p_event.version, p_event.stream_id),
        jsonb_build_object('stream_id', p_event.stream_id, 'version', p_event.version, 'next_version', p_event.version),
        'Fill the hole with eventstream.ingest, which knows what waits.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_event(eventstream.events) IS 'Says why the gate refuses a row: raises ES002, ES003, ES006, ES007, ES008, ES009, ES017 or 40001. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_event(eventstream.events) FROM PUBLIC;
