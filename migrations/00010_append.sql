-- +goose Up
-- Append: lock, look, insert. append_batch is the one write function.
-- Locks: none at install. At run time, the advisory locks of the streams in hand, and the in-flight lock of the gate.
-- +goose StatementBegin

-- The shape of the arguments. Spelled out rather than put into arrays, since it is evaluated on each call; why they do
-- not fit together is worth a closer look only once they do not.
CREATE FUNCTION eventstream.check_batch(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_metadata jsonb[],
    p_occurred_at timestamptz[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_units integer[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_requests integer := coalesce(cardinality(p_stream_ids), 0);
    v_events integer := coalesce(cardinality(p_types), 0);
    v_total bigint := v_events;
    v_units_fit boolean := true;
    -- Arrays of one dimension that begin at 1: others would be read out of step.
    v_request_dims text := '[1:' || v_requests || ']';
    v_event_dims text := '[1:' || v_events || ']';
BEGIN
    -- The queries stand by themselves: a condition with one in it is run as a statement, however it is decided.
    IF (v_requests = v_events AND 1 = ALL (p_event_counts)) IS NOT TRUE THEN
        v_total := (SELECT sum(c) FROM unnest(p_event_counts) AS c);
    END IF;
    IF p_units IS NOT NULL THEN
        v_units_fit := array_dims(p_units) = v_request_dims AND array_position(p_units, NULL) IS NULL AND 1 <= ALL (p_units)
            AND p_units = ARRAY(SELECT unnest(p_units) ORDER BY 1);
    END IF;
    IF v_requests >= 1 AND v_events BETWEEN 1 AND 100000 AND v_total = v_events AND v_units_fit
        AND array_dims(p_stream_ids) = v_request_dims AND array_dims(p_expected) = v_request_dims
        AND array_dims(p_event_counts) = v_request_dims AND array_dims(p_types) = v_event_dims
        -- What closes a stream stands alone, or at the end: the requests of a batch would have to be judged by each other's types.
        AND (v_requests = 1 OR array_position(p_types, '$closed') IS NULL)
        AND array_position(p_stream_ids, NULL) IS NULL AND -3 <= ALL (p_expected) AND 1 <= ALL (p_event_counts)
        AND (p_tenant_ids IS NULL OR array_dims(p_tenant_ids) = v_request_dims)
        AND (p_partition_ids IS NULL OR array_dims(p_partition_ids) = v_request_dims)
        AND (p_event_ids IS NULL OR array_dims(p_event_ids) = v_event_dims)
        AND (p_payloads IS NULL OR array_dims(p_payloads) = v_event_dims)
        AND (p_data IS NULL OR array_dims(p_data) = v_event_dims)
        AND (p_metadata IS NULL OR array_dims(p_metadata) = v_event_dims)
        AND (p_occurred_at IS NULL OR array_dims(p_occurred_at) = v_event_dims)
    THEN
        RETURN;
    ELSIF v_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', v_events::text, 'at most 100000 in one call');
    ELSIF v_requests > 1 AND '$closed' = ANY (p_types) THEN
        PERFORM eventstream.refuse_value('event_type', '$closed', 'in a call of its own: it closes a stream');
    ELSIF v_requests = 0 OR v_events = 0 OR EXISTS (SELECT FROM unnest(p_event_counts) AS c WHERE coalesce(c, 0) < 1) THEN
        PERFORM eventstream.refuse_value('number of events', coalesce(p_event_counts::text, '0'), 'at least 1 for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_stream_ids) AS s WHERE s IS NULL) THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_expected) AS e WHERE coalesce(e, -4) < -3) THEN
        PERFORM eventstream.refuse_value('expected version', p_expected::text, '0 or more, or -1 (any), -2 (exists) or -3 (empty)');
    ELSIF v_requests <> ANY (ARRAY[cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
        cardinality(p_partition_ids), cardinality(p_units)])
    THEN
        PERFORM eventstream.refuse_value('batch', v_requests::text, format('arrays of %s elements, from index 1, for what is given per request', v_requests));
    ELSIF p_units IS NOT NULL AND v_total = v_events THEN
        PERFORM eventstream.refuse_value('units', p_units::text, 'a number from 1 for each request, in ascending order');
    END IF;
    PERFORM eventstream.refuse_value('batch', v_events::text,
        format('arrays of %s elements, from index 1, for what is given per event, as p_event_counts add up to', v_total));
END;
$$;

COMMENT ON FUNCTION eventstream.check_batch IS 'Raises ES008 if the arguments of append_batch do not fit together.';

-- The one INSERT of append_batch. Rows go in in order of stream and version, as those of every batch, so that two never
-- wait for each other.
CREATE FUNCTION eventstream.insert_batch(
    p_verdicts eventstream.verdicts,
    p_stream_ids text[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_metadata jsonb[],
    p_occurred_at timestamptz[]
) RETURNS bigint[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_positions bigint[];
    v_streams text[] := p_stream_ids;
    v_tenants text[] := p_verdicts.tenant_ids;
    v_partitions integer[] := p_verdicts.partition_ids;
    v_versions bigint[] := p_verdicts.first_versions;
    v_outcomes text[] := p_verdicts.outcomes;
BEGIN
    IF p_verdicts.outcomes IS NULL AND cardinality(p_stream_ids) = 1 AND cardinality(p_types) > 1 THEN
        v_streams := array_fill(p_stream_ids[1], ARRAY[cardinality(p_types)]);
        v_tenants := array_fill(v_tenants[1], ARRAY[cardinality(p_types)]);
        v_partitions := array_fill(v_partitions[1], ARRAY[cardinality(p_types)]);
        v_versions := ARRAY(SELECT generate_series(v_versions[1], p_verdicts.last_versions[1]));
    ELSIF cardinality(p_stream_ids) < cardinality(p_types) THEN
        -- An element an event.
        SELECT array_agg(q.stream_id ORDER BY q.n, k),
            array_agg(q.first_version + k ORDER BY q.n, k),
            array_agg(q.tenant_id ORDER BY q.n, k),
            array_agg(q.partition_id ORDER BY q.n, k),
            CASE WHEN v_outcomes IS NOT NULL THEN array_agg(q.outcome ORDER BY q.n, k) END
        INTO v_streams, v_versions, v_tenants, v_partitions, v_outcomes
        FROM unnest(p_stream_ids, v_outcomes, v_versions, v_tenants, v_partitions, p_event_counts)
            WITH ORDINALITY AS q (stream_id, outcome, first_version, tenant_id, partition_id, events, n)
        CROSS JOIN LATERAL generate_series(0, q.events - 1) AS k;
    END IF;
    WITH inserted AS (
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, coalesce(u.event_id, eventstream.uuid_v7()), coalesce(u.occurred_at, clock_timestamp()), clock_timestamp(),
            u.partition_id, u.stream_id, u.tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM (
            -- Side by side in the list of a SELECT: in FROM, each array would be copied to a store of its own first.
            SELECT unnest(v_streams) AS stream_id, unnest(v_versions) AS version, unnest(v_tenants) AS tenant_id,
                unnest(v_partitions) AS partition_id, unnest(p_event_ids) AS event_id, unnest(p_types) AS type,
                unnest(p_payloads) AS payload, unnest(p_data) AS data, unnest(p_metadata) AS metadata, unnest(p_occurred_at) AS occurred_at,
                unnest(v_outcomes) AS outcome
        ) AS u
        WHERE v_outcomes IS NULL OR u.outcome = 'appended'
        ORDER BY u.stream_id COLLATE "C", u.version
        RETURNING e.position
    )
    SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;
    IF (cardinality(v_positions) >= p_verdicts.events) IS NOT TRUE THEN
        PERFORM eventstream.refuse(
            'ES002',
            format('%s of %s events of the batch were dropped by a trigger', p_verdicts.events - coalesce(cardinality(v_positions), 0), p_verdicts.events),
            jsonb_build_object('inserted', coalesce(cardinality(v_positions), 0), 'events', p_verdicts.events),
            'Remove the trigger on eventstream.events that returns NULL.');
    END IF;
    RETURN v_positions;
END;
$$;

COMMENT ON FUNCTION eventstream.insert_batch IS
    'Inserts the events of a batch that are to be applied; their positions in order of stream and version. For '
    'append_batch alone.';

-- After a unique violation: look again, never at the constraint's name, which REINDEX CONCURRENTLY changes.
CREATE FUNCTION eventstream.judge_loss(p_stream_ids text[], p_event_ids uuid[], p_first_versions bigint[]) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_again boolean := eventstream.any_exists(p_event_ids)
        OR EXISTS (
            SELECT FROM unnest(p_stream_ids, p_first_versions) AS u (stream_id, first_version)
            CROSS JOIN LATERAL (
                SELECT true AS taken FROM eventstream.events AS e WHERE e.stream_id = u.stream_id AND e.version = u.first_version OFFSET 0
            ) AS t
        );
BEGIN
    PERFORM eventstream.refuse_sequence();
    RETURN v_again;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_loss IS
    'Whether trying again may help after a unique violation: an id exists by now, or a stream has moved. 40001 where '
    'the snapshot is too old to see it, ES009 if the sequence of positions is behind.';

CREATE FUNCTION eventstream.lock_and_judge(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_event_ids uuid[],
    p_each_alone boolean
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_streams text[];
    v_ignored text;
BEGIN
    -- A statement of its own: the next one sees what the lock waited for.
    IF p_stream_ids[1] = ALL (p_stream_ids) AND (cardinality(p_stream_ids) = 1 OR p_each_alone) THEN
        IF eventstream.may_lock(1) THEN
            v_ignored := pg_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_ids[1]));
        END IF;
        RETURN eventstream.judge_run(p_stream_ids[1], p_expected, p_event_counts, p_tenant_ids, p_partition_ids, p_event_ids);
    END IF;
    v_streams := ARRAY(SELECT DISTINCT unnest(p_stream_ids) COLLATE "C" ORDER BY 1);
    v_ignored := eventstream.lock_streams(v_streams);
    IF cardinality(v_streams) = cardinality(p_stream_ids) THEN
        RETURN eventstream.judge_distinct(
            p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids, v_streams = p_stream_ids);
    END IF;
    RETURN eventstream.judge_together(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids);
END;
$$;

COMMENT ON FUNCTION eventstream.lock_and_judge IS
    'Locks the streams of a batch and judges it in the cheapest way that can; NULL if judge_closely() has to look. '
    'p_each_alone: each request is applied on its own. For append_batch alone.';

CREATE FUNCTION eventstream.append_batch(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[] DEFAULT NULL,
    p_metadata jsonb[] DEFAULT NULL,
    p_occurred_at timestamptz[] DEFAULT NULL,
    p_tenant_ids text[] DEFAULT NULL,
    p_partition_ids integer[] DEFAULT NULL,
    p_atomic boolean DEFAULT true,
    p_units integer[] DEFAULT NULL
) RETURNS TABLE (
    request integer,
    outcome text,
    first_version bigint,
    last_version bigint,
    last_position bigint,
    current_version bigint,
    watermark bigint,
    tenant_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v eventstream.verdicts;
    v_lost eventstream.verdicts;
    v_positions bigint[];
    v_tries integer := 0;
    v_ignored text;
BEGIN
    IF p_data IS NOT NULL THEN
        v_ignored := eventstream.refuse_null_words(p_data);
    END IF;
    v_ignored := eventstream.check_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, p_tenant_ids, p_partition_ids, p_units);
    -- Before the streams, as append_event does, and before positions are drawn: the gate would be too late for some.
    IF p_metadata IS NOT NULL THEN
        v_ignored := eventstream.hold_tags_of_batch(p_types, p_metadata);
    END IF;
    v := eventstream.lock_and_judge(
        p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids, p_event_ids, p_atomic IS FALSE AND p_units IS NULL);
    LOOP
        IF v IS NULL THEN
            v := eventstream.judge_closely(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data,
                p_tenant_ids, p_partition_ids, CASE WHEN p_atomic IS NOT FALSE THEN array_fill(1, ARRAY[cardinality(p_stream_ids)]) ELSE p_units END);
        END IF;
        EXIT WHEN v.outcomes IS NOT NULL AND array_position(v.outcomes, 'appended') IS NULL;
        IF v.outcomes IS NOT NULL AND p_event_ids IS NOT NULL THEN
            v_ignored := eventstream.refuse_twins(p_event_ids);
        END IF;
        -- All of it or nothing, whatever another writer does: ON CONFLICT DO NOTHING would mix two callers' events.
        BEGIN
            v_positions := eventstream.insert_batch(
                v, p_stream_ids, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at);
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            v_tries := v_tries + 1;
            -- Again only if something has changed since the last loss.
            IF v_tries = 100 OR NOT eventstream.judge_loss(p_stream_ids, p_event_ids, v.first_versions)
                OR (v.outcomes, v.first_versions) IS NOT DISTINCT FROM (v_lost.outcomes, v_lost.first_versions)
            THEN
                -- Ids that come twice in the call would be raised again and again as 40001.
                IF (SELECT count(u) = count(DISTINCT u) FROM unnest(p_event_ids) AS u) THEN
                    PERFORM eventstream.refuse_old_snapshot();
                END IF;
                RAISE;
            END IF;
            v_lost := v;
        END;
        v := NULL;
    END LOOP;

    IF v.outcomes IS NULL AND cardinality(p_stream_ids) = 1 THEN
        request := 1; outcome := 'appended';
        first_version := v.first_versions[1]; last_version := v.last_versions[1];
        last_position := v_positions[v.events];
        current_version := last_version; watermark := last_version;
        tenant_id := v.tenant_ids[1];
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT u.n, CASE WHEN v.outcomes IS NULL THEN 'appended' ELSE u.outcome END, u.first, u.last,
        CASE WHEN u.outcome = 'duplicate' THEN u.position WHEN u.first IS NOT NULL THEN v_positions[coalesce(u.ends, u.n)] END,
        u.current_version, u.watermark, u.tenant_id
    FROM (
        SELECT generate_subscripts(p_stream_ids, 1) AS n, unnest(v.outcomes) AS outcome, unnest(v.first_versions) AS first,
            unnest(v.last_versions) AS last, unnest(v.last_positions) AS position, unnest(v.ends) AS ends,
            unnest(v.current_versions) AS current_version, unnest(v.watermarks) AS watermark, unnest(v.tenant_ids) AS tenant_id
    ) AS u;
END;
$$;

COMMENT ON FUNCTION eventstream.append_batch IS
    'Appends requests, each with a stream, an expectation and p_event_counts of the events; returns a row for each. '
    'p_expected: n exactly, -1 any, -2 exists, -3 empty. outcome: appended, duplicate, version_conflict, '
    'stream_exists, stream_missing, tenant_mismatch, gap, closed; NULL for one that another takes down. p_atomic: all '
    'or nothing; else requests with the same number in p_units, or each on its own. An empty tenant and the partition '
    '-1 are none given. At most 100000 events a call.';

-- Whoever may append is for the owner to say; reading the schema alone does not make a writer.
REVOKE EXECUTE ON FUNCTION
    eventstream.lock_and_judge, eventstream.append_batch, eventstream.judge_loss, eventstream.insert_batch,
    eventstream.check_batch
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.append_batch, eventstream.lock_and_judge, eventstream.judge_loss, eventstream.insert_batch,
    eventstream.check_batch;
