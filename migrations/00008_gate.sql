-- +goose Up
-- The gate: every row that enters eventstream.events passes here, whoever writes it: append_batch, INSERT, COPY, MERGE. It keeps
-- streams gapless, in one tenant and one partition, with positions in version order, and it alone moves heads.
-- It reads and writes the streams in hand, the sequence and advisory locks of its own; nothing that all writers share.
-- Locks: SHARE ROW EXCLUSIVE on events and pending_events for the moment of CREATE TRIGGER.

-- Rows that were refused silently (ON CONFLICT DO NOTHING) leave a statement that drew positions and inserted nothing: an append
-- that its caller believes in and nobody will ever read.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_swallowed() RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    v_before bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint;
    v_drawn bigint;
BEGIN
    IF pg_sequence_last_value('eventstream.events_position_seq'::regclass) IS NOT DISTINCT FROM nullif(v_before, 0) THEN
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
            'every event of the statement was dropped: a version or an event id is there already',
            jsonb_build_object('inserted', 0, 'drawn_position', v_drawn),
            'Leave ON CONFLICT out: eventstream.append recognises an event that was appended before.');
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_swallowed() IS
    'Raises ES002 when the statement drew positions but inserted no event (ON CONFLICT DO NOTHING).';

-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_position(
    p_stream_id text,
    p_version bigint,
    p_position bigint,
    p_key bigint
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES006',
        format('position %s of version %s of stream %L was not drawn by this transaction', p_position, p_version, p_stream_id),
        jsonb_build_object('stream_id', p_stream_id, 'version', p_version, 'position', p_position,
            'drawn_above', p_key,
            'sequence', pg_sequence_last_value('eventstream.events_position_seq'::regclass)),
        'Leave position out: the database draws it.');
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_position(text, bigint, bigint, bigint) IS
    'Raises ES006 for a position given by hand. Never returns.';

-- Which stream of a statement is wrong, and how, is worth a second look only once something is.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_runs(
    p_stream_ids text[],
    p_versions bigint[],
    p_positions bigint[],
    p_key bigint,
    p_last bigint
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    r record;
BEGIN
    SELECT u.* INTO r
    FROM unnest(p_stream_ids, p_versions, p_positions) AS u (stream_id, version, position)
    WHERE (u.position > p_key AND u.position <= p_last) IS NOT TRUE
    ORDER BY u.stream_id, u.version
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse_position(r.stream_id, r.version, r.position, p_key);
    END IF;
    SELECT u.stream_id, count(*) AS events, min(u.version) AS first_version, max(u.version) AS last_version
    INTO r
    FROM (
        SELECT q.stream_id, q.version,
            q.version - lag(q.version) OVER (PARTITION BY q.stream_id ORDER BY q.position) AS step
        FROM unnest(p_stream_ids, p_versions, p_positions) AS q (stream_id, version, position)
    ) AS u
    GROUP BY u.stream_id
    HAVING NOT coalesce(bool_and(u.step = 1), true)
    ORDER BY u.stream_id
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN; -- In order, but of several tenants or partitions: the heads say which is wrong.
    END IF;
    IF r.events <> r.last_version - r.first_version + 1 THEN
        PERFORM eventstream.refuse(
            'ES002',
            format('%s events of stream %L span versions %s to %s: not contiguous',
                r.events, r.stream_id, r.first_version, r.last_version),
            jsonb_build_object('stream_id', r.stream_id, 'first_version', r.first_version, 'last_version', r.last_version,
                'events', r.events),
            'Versions run 1, 2, 3 ... without a gap. For events that arrive out of order use eventstream.ingest.');
    END IF;
    PERFORM eventstream.refuse(
        'ES006',
        format('events of stream %L, versions %s to %s, are not inserted in version order',
            r.stream_id, r.first_version, r.last_version),
        jsonb_build_object('stream_id', r.stream_id, 'first_version', r.first_version, 'last_version', r.last_version),
        'Insert the rows of a stream in order of version (ORDER BY version), so that positions rise with versions.');
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_runs(text[], bigint[], bigint[], bigint, bigint) IS
    'Raises ES002 or ES006 for rows of one statement that are not contiguous, not in version order, or with a position given by hand.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    v_key bigint;
    v_last bigint;
    v_stream_ids text[];
    v_tenant_ids text[];
    v_partition_ids integer[];
    v_first_versions bigint[];
    v_last_versions bigint[];
    v_first_positions bigint[];
    v_last_positions bigint[];
    v_in_order boolean;
    v_moved boolean;
    v_was text := coalesce(current_setting('eventstream.gate', true), '');
    v_gate text;
    r record;
BEGIN
    -- One event, the common case, needs no grouping.
    SELECT n.stream_id, n.tenant_id, n.partition_id, n.version, n.position, (SELECT count(*) FROM new_events) AS events
    INTO r
    FROM new_events AS n
    LIMIT 1;
    IF NOT FOUND THEN
        PERFORM eventstream.refuse_swallowed();
        RETURN NULL;
    END IF;
    v_key := split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint;
    v_last := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
    IF r.events = 1 THEN
        IF (r.position > v_key AND r.position <= v_last) IS NOT TRUE THEN
            PERFORM eventstream.refuse_position(r.stream_id, r.version, r.position, v_key);
        END IF;
        v_gate := set_config('eventstream.gate', 'move', true);
        v_moved := eventstream.move_head(
            r.stream_id, r.tenant_id, r.partition_id, r.version, r.version, r.position, r.position);
        v_gate := set_config('eventstream.gate', v_was, true);
        RETURN NULL;
    END IF;

    -- Runs of versions, in order of stream_id. Rows of one stream with two tenants or partitions make two runs, and the second will not
    -- follow the head.
    SELECT array_agg(g.stream_id), array_agg(g.tenant_id), array_agg(g.partition_id),
        array_agg(g.first_version), array_agg(g.last_version), array_agg(g.first_position), array_agg(g.last_position),
        bool_and(g.in_order AND g.first_position > v_key AND g.last_position <= v_last)
    INTO v_stream_ids, v_tenant_ids, v_partition_ids,
        v_first_versions, v_last_versions, v_first_positions, v_last_positions,
        v_in_order
    FROM (
        SELECT
            w.stream_id,
            w.tenant_id,
            w.partition_id,
            min(w.version) AS first_version,
            max(w.version) AS last_version,
            min(w.position) AS first_position,
            max(w.position) AS last_position,
            coalesce(bool_and(w.step = 1), true) AS in_order
        FROM (
            SELECT
                n.stream_id,
                n.tenant_id,
                n.partition_id,
                n.version,
                n.position,
                n.version - lag(n.version) OVER (
                    PARTITION BY n.stream_id, n.tenant_id, n.partition_id ORDER BY n.position
                ) AS step
            FROM new_events AS n
        ) AS w
        GROUP BY w.stream_id, w.tenant_id, w.partition_id
        ORDER BY w.stream_id
    ) AS g;
    IF v_in_order IS NOT TRUE THEN
        PERFORM eventstream.refuse_runs(
            array_agg(n.stream_id), array_agg(n.version), array_agg(n.position), v_key, v_last)
        FROM new_events AS n;
    END IF;
    v_gate := set_config('eventstream.gate', 'move', true);
    IF cardinality(v_stream_ids) = 1 THEN
        v_moved := eventstream.move_head(v_stream_ids[1], v_tenant_ids[1], v_partition_ids[1],
            v_first_versions[1], v_last_versions[1], v_first_positions[1], v_last_positions[1]);
    ELSE
        v_moved := eventstream.move_heads(v_stream_ids, v_tenant_ids, v_partition_ids,
            v_first_versions, v_last_versions, v_first_positions, v_last_positions);
    END IF;
    v_gate := set_config('eventstream.gate', v_was, true);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.events_gate() IS
    'Trigger, after INSERT on events: demands that the new rows follow their streams, and moves the heads.';

-- What waits counts in current_version, so that nobody appends past a hole.
-- +goose StatementBegin
CREATE FUNCTION eventstream.pending_events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
SET enable_seqscan = off
AS $$
DECLARE
    r record;
    v_head eventstream.streams;
    v_was text := coalesce(current_setting('eventstream.gate', true), '');
    v_gate text := set_config('eventstream.gate', 'move', true);
BEGIN
    FOR r IN
        SELECT n.stream_id, n.tenant_id, n.partition_id, min(n.version) AS first_version, max(n.version) AS last_version
        FROM new_events AS n
        GROUP BY n.stream_id, n.tenant_id, n.partition_id
        ORDER BY n.stream_id
    LOOP
        INSERT INTO eventstream.streams (current_version, partition_id, stream_id, tenant_id)
        VALUES (r.last_version, r.partition_id, r.stream_id, r.tenant_id)
        ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE
        SET current_version = greatest(streams.current_version, EXCLUDED.current_version), updated_at = clock_timestamp()
        RETURNING * INTO v_head;
        IF v_head.tenant_id <> r.tenant_id OR v_head.partition_id <> r.partition_id OR v_head.watermark >= r.first_version THEN
            PERFORM eventstream.refuse_events(r.stream_id, r.tenant_id, r.partition_id, r.first_version, r.last_version, 0);
        END IF;
    END LOOP;
    v_gate := set_config('eventstream.gate', v_was, true);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.pending_events_gate() IS
    'Trigger, after INSERT on pending_events: raises current_version of the streams, or refuses what does not belong there.';

CREATE TRIGGER events_gate
    AFTER INSERT ON eventstream.events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate();

COMMENT ON TRIGGER events_gate ON eventstream.events IS 'Keeps every stream gapless, and moves the heads.';

CREATE TRIGGER pending_events_gate
    AFTER INSERT ON eventstream.pending_events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_gate();

COMMENT ON TRIGGER pending_events_gate ON eventstream.pending_events IS 'Counts what waits in current_version of the heads.';

-- +goose Down
DROP TRIGGER pending_events_gate ON eventstream.pending_events;
DROP TRIGGER events_gate ON eventstream.events;
DROP FUNCTION eventstream.pending_events_gate();
DROP FUNCTION eventstream.events_gate();
DROP FUNCTION eventstream.refuse_position(text, bigint, bigint, bigint);
DROP FUNCTION eventstream.refuse_runs(text[], bigint[], bigint[], bigint, bigint);
DROP FUNCTION eventstream.refuse_swallowed();
