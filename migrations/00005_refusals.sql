-- +goose Up
-- How the gate refuses: which rule a row breaks is worth a second look only once one is broken. append, ingest and the
-- watermark refuse by the same functions.
-- Locks: none.
-- +goose StatementBegin

CREATE FUNCTION eventstream.refuse_tenant(p_stream_id text, p_stream_tenant text, p_event_tenant text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF eventstream.is_bound(eventstream.calling_role()) THEN
        PERFORM eventstream.refuse(
            'ES003',
            format('stream id %L cannot be used by tenant %L', p_stream_id, p_event_tenant),
            jsonb_build_object('stream_id', p_stream_id, 'event_tenant', p_event_tenant),
            'Choose another stream id.');
    END IF;
    PERFORM eventstream.refuse(
        'ES003',
        format('stream %L belongs to tenant %L, the event to tenant %L', p_stream_id, p_stream_tenant, p_event_tenant),
        jsonb_build_object('stream_id', p_stream_id, 'stream_tenant', p_stream_tenant, 'event_tenant', p_event_tenant),
        'A stream has one tenant, that of its first event. Append with it, or to another stream.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_tenant IS 'Raises ES003 (tenant mismatch). Never returns.';

CREATE FUNCTION eventstream.refuse_partition(p_stream_id text, p_stream_partition integer, p_event_partition integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES007',
        format('stream %L is in partition %s, the event in partition %s', p_stream_id, p_stream_partition, p_event_partition),
        jsonb_build_object('stream_id', p_stream_id, 'stream_partition', p_stream_partition,
            'event_partition', p_event_partition),
        'A stream stays in the partition that it was created in. Give that one, or none.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_partition IS 'Raises ES007 (partition mismatch). Never returns.';

CREATE FUNCTION eventstream.refuse_closed(p_stream_id text, p_closed_at bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES017',
        format('stream %L is closed: version %s, of type $closed, is its last event', p_stream_id, p_closed_at),
        jsonb_build_object('stream_id', p_stream_id, 'current_version', p_closed_at),
        'A stream is closed for good. Begin another one.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_closed IS 'Raises ES017 (stream closed). Never returns.';

CREATE FUNCTION eventstream.refuse_unknown_stream(p_stream_id text, p_hint text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.check_name('stream_id', p_stream_id);
    PERFORM eventstream.refuse('ES018', format('stream %L not found', p_stream_id),
        jsonb_build_object('stream_id', p_stream_id), p_hint);
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_unknown_stream IS
    'Raises ES018 (stream not found), or ES008 for what cannot be the id of one. Never returns.';

-- A sequence behind the events, as after copying the table or logical replication, gives positions that every reader
-- has passed.
CREATE FUNCTION eventstream.refuse_sequence() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    -- The sequence is read after the snapshot of the query was taken: nothing that is visible is above it, unless it is
    -- behind.
    v_highest bigint := (SELECT max(e.position) FROM ONLY eventstream.events AS e);
    v_last bigint := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
BEGIN
    IF v_highest > coalesce(v_last, 0) THEN
        PERFORM eventstream.refuse(
            'ES009',
            format('the sequence of positions is at %s, but there is an event at position %s', coalesce(v_last, 0), v_highest),
            jsonb_build_object('sequence', coalesce(v_last, 0), 'last_position', v_highest),
            format('Stop the writers, then SELECT setval(''eventstream.events_position_seq'', %s); then SELECT * FROM eventstream.audit().',
                v_highest));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_sequence IS
    'Raises ES009 if the sequence of positions is behind the events; returns otherwise.';

-- A transaction that keeps one snapshot cannot see who was faster: it has to run again.
CREATE FUNCTION eventstream.refuse_old_snapshot() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'another writer appended to a stream after the snapshot of this transaction was taken',
            HINT = 'Run the transaction again: a new snapshot sees what was appended meanwhile.';
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_old_snapshot IS
    'After a lost race: raises 40001 in REPEATABLE READ and SERIALIZABLE; returns otherwise.';

-- Rows that were dropped silently (ON CONFLICT DO NOTHING) leave a statement that drew positions and inserted nothing:
-- an append that its caller believes in and nobody will ever read.
CREATE FUNCTION eventstream.refuse_swallowed() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_before bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint;
    v_drawn bigint;
BEGIN
    -- append_event looks again by itself.
    IF current_setting('eventstream.append_event', true) = 'on'
        OR pg_sequence_last_value('eventstream.events_position_seq'::regclass) IS NOT DISTINCT FROM nullif(v_before, 0)
    THEN
        RETURN;
    END IF;
    -- Somebody drew meanwhile; currval tells whether it was this session.
    BEGIN
        v_drawn := currval('eventstream.events_position_seq'::regclass);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RETURN;
    END;
    IF v_drawn > v_before THEN
        PERFORM eventstream.refuse(
            'ES002',
            'every event of the statement was dropped: a version or an event id exists already, or a trigger dropped '
            'the rows',
            jsonb_build_object('inserted', 0, 'drawn_position', v_drawn),
            'Leave ON CONFLICT out: eventstream.append recognises an event that was appended before. Remove a trigger '
            'on eventstream.events that returns NULL.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_swallowed IS
    'Raises ES002 if the statement drew positions but inserted no event (ON CONFLICT DO NOTHING).';

-- Which rule a row breaks is worth a second look only once one is broken.
CREATE FUNCTION eventstream.refuse_event(p_event eventstream.events) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.refuse_event IS
    'Says why the gate refuses a row: raises ES002, ES003, ES006, ES007, ES008, ES009, ES017 or 40001. Never returns.';

-- A session with array_nulls off reads the word NULL in an array that comes as text as four characters. As JSON, a uuid
-- or a time they are refused; as bytes they would be stored in place of none.
CREATE FUNCTION eventstream.refuse_null_words(p_data bytea[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT current_setting('array_nulls')::boolean AND '\x4e554c4c' = ANY (p_data) THEN
        PERFORM eventstream.refuse_value('data', 'NULL', 'sent where array_nulls is on: while it is off, this cannot be told from none at all');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_null_words IS
    'Raises ES008 for data that may have been NULL before array_nulls = off made four characters of it; returns '
    'otherwise.';

CREATE FUNCTION eventstream.refuse_unknown_subscription(p_name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES010',
        format('there is no subscription %L', p_name),
        jsonb_build_object('subscription', p_name),
        'Check its name in eventstream.subscriptions; running a subscription creates it.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_unknown_subscription IS 'Raises ES010. Never returns.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_unknown_stream, eventstream.refuse_event, eventstream.refuse_swallowed,
    eventstream.refuse_sequence, eventstream.refuse_old_snapshot, eventstream.refuse_partition,
    eventstream.refuse_null_words, eventstream.refuse_unknown_subscription
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.refuse_unknown_subscription, eventstream.refuse_null_words, eventstream.refuse_event,
    eventstream.refuse_swallowed, eventstream.refuse_sequence, eventstream.refuse_old_snapshot,
    eventstream.refuse_unknown_stream, eventstream.refuse_closed, eventstream.refuse_partition,
    eventstream.refuse_tenant;
