-- +goose Up
-- Two ways to append one event: a short one for services, and one for people in psql, which raises what the other
-- returns.
-- Locks: none at install. At run time, the advisory lock of the stream, and the in-flight lock of the gate.
-- +goose StatementBegin

-- One event, the common case: two statements without arrays. Whatever is not common, a refusal, a hole, an event that
-- exists already, another writer who took the version, is left to append_batch, which looks again.
CREATE FUNCTION eventstream.append_event(
    p_stream_id text,
    p_expected bigint,
    p_event_id uuid,
    p_type text,
    p_payload jsonb,
    p_data bytea,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_tenant_id text,
    p_partition_id integer,
    p_rival_ids uuid[] DEFAULT NULL,
    OUT outcome text,
    OUT first_version bigint,
    OUT last_version bigint,
    OUT last_position bigint,
    OUT current_version bigint,
    OUT watermark bigint,
    OUT tenant_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_ignored text;
    v_version bigint;
    v_tenant_id text;
    v_partition_id integer;
    v_type text;
BEGIN
    IF p_metadata ? 'tags' THEN
        v_ignored := eventstream.hold_tags(ARRAY[p_type], ARRAY[p_metadata -> 'tags']);
    END IF;
    IF eventstream.may_lock(1) THEN
        v_ignored := pg_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_id));
    END IF;
    IF p_rival_ids IS NOT NULL AND eventstream.any_exists(p_rival_ids) THEN
        RETURN;
    END IF;
    SELECT e.version, e.tenant_id, e.partition_id, e.type INTO v_version, v_tenant_id, v_partition_id, v_type
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id
    ORDER BY e.version DESC
    LIMIT 1;
    IF v_version IS NULL THEN
        v_version := 0;
        v_tenant_id := coalesce(nullif(p_tenant_id, ''), 'default');
        v_partition_id := coalesce(nullif(p_partition_id, -1), eventstream.partition_of(p_stream_id, eventstream.partition_count()));
    END IF;
    IF eventstream.judge(p_expected, nullif(p_tenant_id, ''), v_tenant_id, v_version, v_version, v_type) IS NULL
        AND (nullif(p_partition_id, -1) = v_partition_id) IS NOT FALSE AND p_stream_id IS NOT NULL
    THEN
        -- Tells the gate that an event that meets its like is no append that got lost. Not by SET in the head of the
        -- function: only a superuser may create one that sets a parameter that PostgreSQL does not know.
        v_ignored := set_config('eventstream.append_event', 'on', true);
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT v_version + 1, coalesce(p_event_id, eventstream.uuid_v7()), coalesce(p_occurred_at, clock_timestamp()), clock_timestamp(),
            v_partition_id, p_stream_id, v_tenant_id, p_type, coalesce(p_payload, 'null'), p_data, coalesce(p_metadata, '{}')
        WHERE NOT EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p_stream_id)
            AND NOT EXISTS (SELECT FROM eventstream.events AS d WHERE d.event_id = p_event_id)
        -- A raw INSERT may take the version, or somebody the id, at this very moment: nothing is inserted, and
        -- append_batch says what it is.
        ON CONFLICT DO NOTHING
        RETURNING 'appended', e.version, e.version, e.position, e.version, e.version, e.tenant_id
        INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id;
        v_ignored := set_config('eventstream.append_event', '', true);
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF p_rival_ids IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id
    INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id
    FROM eventstream.append_batch(
        ARRAY[p_stream_id], ARRAY[p_expected], ARRAY[1], ARRAY[p_event_id], ARRAY[p_type], ARRAY[p_payload],
        ARRAY[p_data], ARRAY[p_metadata], ARRAY[p_occurred_at], ARRAY[p_tenant_id], ARRAY[p_partition_id]) AS b;
END;
$$;

COMMENT ON FUNCTION eventstream.append_event IS
    'append_batch for one event, faster: the same rules and the same outcome. p_expected: n exactly, -1 any, -2 '
    'exists, -3 empty. p_rival_ids: the event ids of requests to the same stream that this one refuses. If one of them '
    'is stored already, or this event cannot be appended, nothing is done, and outcome is NULL.';

CREATE FUNCTION eventstream.append(
    p_stream_id text,
    p_type text,
    p_payload jsonb DEFAULT '{}',
    p_expected bigint DEFAULT -1,
    p_event_id uuid DEFAULT NULL,
    p_metadata jsonb DEFAULT '{}',
    p_tenant_id text DEFAULT NULL,
    p_occurred_at timestamptz DEFAULT NULL,
    p_data bytea DEFAULT NULL,
    p_partition_id integer DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r record;
BEGIN
    SELECT b.* INTO r
    FROM eventstream.append_batch(
        ARRAY[p_stream_id], ARRAY[p_expected], ARRAY[1], ARRAY[p_event_id], ARRAY[p_type], ARRAY[p_payload],
        ARRAY[p_data], ARRAY[p_metadata], ARRAY[p_occurred_at], ARRAY[p_tenant_id], ARRAY[p_partition_id]) AS b;
    CASE r.outcome
        WHEN 'appended', 'duplicate' THEN
            RETURN r.last_version;
        WHEN 'tenant_mismatch' THEN
            PERFORM eventstream.refuse_tenant(p_stream_id, r.tenant_id, p_tenant_id);
        WHEN 'closed' THEN
            PERFORM eventstream.refuse_closed(p_stream_id, r.current_version);
        WHEN 'gap' THEN
            PERFORM eventstream.refuse(
                'ES002',
                format('stream %L has a hole: version %s is missing, while versions up to %s arrived',
                    p_stream_id, r.watermark + 1, r.current_version),
                jsonb_build_object('stream_id', p_stream_id, 'first_missing', r.watermark + 1,
                    'current_version', r.current_version),
                'Fill the hole with eventstream.ingest first, or give it up with eventstream.discard_pending.');
        ELSE
            PERFORM eventstream.refuse(
                'ES001',
                format('stream %L is at version %s, expected %s', p_stream_id, r.current_version,
                    CASE p_expected WHEN -2 THEN 'it to exist' WHEN -3 THEN 'it to be empty' ELSE p_expected::text END),
                jsonb_build_object('stream_id', p_stream_id, 'outcome', r.outcome, 'expected', p_expected,
                    'current_version', r.current_version),
                'Read the stream again and decide anew, or append with p_expected => -1 (any version).');
    END CASE;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.append IS
    'Appends one event and returns its version; a refusal is an error. p_expected: n exactly, -1 any, -2 exists, -3 '
    'empty.';

REVOKE EXECUTE ON FUNCTION eventstream.append_event FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.append, eventstream.append_event;
