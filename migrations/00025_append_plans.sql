-- +goose Up
-- What an append costs beside the gate: plans are kept whatever the length of the arrays (00024), a batch looks at its streams in one
-- statement, and looks for repeated events one by one only where there are any.
-- Locks: none. Writers that run meanwhile go on with the old functions until their transaction ends.

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.create_head(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    v_created boolean;
    v_ignored text := set_config('eventstream.gate', 'create', true);
BEGIN
    -- Waits for another transaction that creates this stream: false when it won, and its head is then there to be locked.
    INSERT INTO eventstream.streams (partition_id, stream_id, tenant_id)
    VALUES (
        coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
        p_stream_id,
        coalesce(p_tenant_id, 'default'))
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    v_created := FOUND;
    v_ignored := set_config('eventstream.gate', '', true);
    RETURN v_created;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.create_heads(
    p_stream_ids text[],
    p_expected bigint[],
    p_tenant_ids text[],
    p_partition_ids integer[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_ignored text;
BEGIN
    v_ignored := set_config('eventstream.gate', 'create', true);
    INSERT INTO eventstream.streams AS s (partition_id, stream_id, tenant_id)
    SELECT
        -- The row of a head that is seen stays, and this value is not used: the hash is spared.
        CASE
            WHEN u.is_there THEN 0
            ELSE coalesce(u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count()))
        END,
        u.stream_id,
        coalesce(u.tenant_id, 'default')
    FROM (
        SELECT DISTINCT ON (q.stream_id COLLATE "C")
            q.stream_id, nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
            (SELECT true FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id) AS is_there
        FROM unnest(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids)
            WITH ORDINALITY AS q (stream_id, expected, tenant_id, partition_id, ordinality)
        -- Of several requests for a new stream, the first that can create it decides where it goes. One that cannot has its head
        -- all the same, to hold the lock; it is dropped when it stays empty.
        ORDER BY q.stream_id COLLATE "C", q.expected NOT IN (-3, -1, 0), q.ordinality
    ) AS u
    ORDER BY u.stream_id COLLATE "C"
    ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE SET stream_id = EXCLUDED.stream_id WHERE false;
    v_ignored := set_config('eventstream.gate', '', true);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.judge_each(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_tenant_ids text[],
    OUT outcomes text[],
    OUT first_versions bigint[],
    OUT last_versions bigint[],
    OUT last_positions bigint[],
    OUT current_versions bigint[],
    OUT watermarks bigint[]
)
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_stream_id text;
    v_current bigint;
    v_watermark bigint;
    v_outcome text;
    v_requests integer[];
    v_found bigint[];
    v_same boolean[];
    v_places text[];
    v_first bigint[];
    v_last bigint[];
    v_positions bigint[];
    r record;
BEGIN
    IF EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids)) THEN
        -- What is there already of each request, all at once: a slice of the arrays for each request would cost the whole array each time.
        SELECT array_agg(q.ordinality::integer ORDER BY q.ordinality, k) INTO v_requests
        FROM unnest(p_event_counts) WITH ORDINALITY AS q (events, ordinality)
        CROSS JOIN LATERAL generate_series(1, q.events) AS k;
        SELECT array_agg(d.found ORDER BY d.request), array_agg(d.same ORDER BY d.request), array_agg(d.place ORDER BY d.request),
            array_agg(d.first ORDER BY d.request),
            array_agg(d.last ORDER BY d.request), array_agg(d.position ORDER BY d.request)
        INTO v_found, v_same, v_places, v_first, v_last, v_positions
        FROM (
            SELECT
                u.request,
                count(e.event_id) AS found,
                -- Each with the same content, in the same order, in one stream.
                coalesce(bool_and(
                    e.type = u.type AND e.payload = coalesce(u.payload, 'null') AND e.data IS NOT DISTINCT FROM u.data
                ), false) AND min(e.version - u.ordinality) = max(e.version - u.ordinality) AS same,
                CASE WHEN min(e.stream_id) = max(e.stream_id) THEN min(e.stream_id) END AS place,
                min(e.version::bigint) AS first,
                max(e.version::bigint) AS last,
                max(e.position) AS position
            FROM unnest(v_requests, p_event_ids, p_types, p_payloads, p_data)
                WITH ORDINALITY AS u (request, event_id, type, payload, data, ordinality)
            LEFT JOIN eventstream.events AS e ON e.event_id = u.event_id
            GROUP BY u.request
        ) AS d;
    END IF;

    outcomes := array_fill(NULL::text, ARRAY[cardinality(p_stream_ids)]);
    first_versions := array_fill(NULL::bigint, ARRAY[cardinality(p_stream_ids)]);
    last_versions := first_versions;
    last_positions := first_versions;
    current_versions := first_versions;
    watermarks := first_versions;
    FOR r IN
        SELECT
            q.ordinality AS n,
            q.stream_id,
            q.expected,
            q.events,
            nullif(q.tenant_id, '') AS tenant_id,
            q.found,
            q.found = q.events AND q.same AND coalesce(q.place = q.stream_id, false) AS repeated,
            q.first,
            q.last,
            q.position,
            (sum(q.events) OVER (ORDER BY q.ordinality))::integer AS last_event,
            s.tenant_id AS head_tenant_id,
            coalesce(s.current_version, 0) AS head_version,
            coalesce(s.watermark, 0) AS head_watermark
        FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids,
            v_found, v_same, v_places, v_first, v_last, v_positions)
            WITH ORDINALITY AS q (
                stream_id, expected, events, tenant_id, found, same, place, first, last, position, ordinality
            )
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s ON true
        ORDER BY q.stream_id COLLATE "C", q.ordinality
    LOOP
        IF v_stream_id IS DISTINCT FROM r.stream_id THEN
            v_stream_id := r.stream_id;
            v_current := r.head_version;
            v_watermark := r.head_watermark;
        END IF;
        -- A stream without events has no tenant yet; its head was made for the first request that can begin it.
        v_outcome := eventstream.judge(r.expected,
            CASE WHEN v_current > 0 OR r.expected IN (-3, -1, 0) THEN r.tenant_id END,
            r.head_tenant_id, v_current, v_watermark);
        IF r.found > 0 AND v_outcome IS DISTINCT FROM 'tenant_mismatch' THEN
            IF NOT r.repeated THEN
                -- Says what differs.
                PERFORM eventstream.find_duplicate(
                    r.stream_id,
                    p_event_ids[r.last_event - r.events + 1:r.last_event],
                    p_types[r.last_event - r.events + 1:r.last_event],
                    p_payloads[r.last_event - r.events + 1:r.last_event],
                    p_data[r.last_event - r.events + 1:r.last_event]);
            END IF;
            v_outcome := 'duplicate';
            first_versions[r.n] := r.first;
            last_versions[r.n] := r.last;
            last_positions[r.n] := r.position;
        END IF;
        IF v_outcome IS NULL THEN
            v_outcome := 'appended';
            first_versions[r.n] := v_current + 1;
            v_current := v_current + r.events;
            v_watermark := v_current;
            last_versions[r.n] := v_current;
        END IF;
        outcomes[r.n] := v_outcome;
        current_versions[r.n] := v_current;
        watermarks[r.n] := v_watermark;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- Several requests to one stream, as they come together where a stream is hot: its head is locked once, and each request is judged after
-- what the one before it will have done. What is not common, a stream that is not there or events that are, is left to
-- append_many: no row comes back.
-- +goose StatementBegin
CREATE FUNCTION eventstream.append_run(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_metadata jsonb[],
    p_occurred_at timestamptz[],
    p_tenant_ids text[]
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
SET search_path = ''
SET enable_seqscan = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_head record;
    v_current bigint;
    v_watermark bigint;
    v_outcome text;
    v_applied integer := 0;
    v_event integer := 0;
    -- Per request.
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_ends integer[];
    v_currents bigint[];
    v_watermarks bigint[];
    -- Per event: no version where its request is refused.
    v_versions bigint[];
    v_positions bigint[];
BEGIN
    SELECT s.stream_id, s.tenant_id, s.partition_id, s.current_version, s.watermark
    INTO v_head
    FROM eventstream.streams AS s
    WHERE s.stream_id = p_stream_ids[1]
    FOR NO KEY UPDATE;
    IF NOT FOUND OR EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids)) THEN
        RETURN;
    END IF;

    -- Of full length from the start: an array that begins where it is first assigned would be unnested out of step.
    v_first := array_fill(NULL::bigint, ARRAY[cardinality(p_expected)]);
    v_last := v_first;
    v_ends := array_fill(NULL::integer, ARRAY[cardinality(p_expected)]);
    v_versions := array_fill(NULL::bigint, ARRAY[cardinality(p_types)]);
    v_current := v_head.current_version;
    v_watermark := v_head.watermark;
    FOR i IN 1 .. cardinality(p_expected) LOOP
        v_outcome := eventstream.judge(p_expected[i], nullif(p_tenant_ids[i], ''), v_head.tenant_id, v_current, v_watermark);
        IF v_outcome IS NULL THEN
            v_outcome := 'appended';
            v_first[i] := v_current + 1;
            FOR k IN 1 .. p_event_counts[i] LOOP
                v_versions[v_event + k] := v_current + k;
            END LOOP;
            v_current := v_current + p_event_counts[i];
            v_watermark := v_current;
            v_applied := v_applied + p_event_counts[i];
            v_last[i] := v_current;
            v_ends[i] := v_applied;
        END IF;
        v_outcomes[i] := v_outcome;
        v_currents[i] := v_current;
        v_watermarks[i] := v_watermark;
        v_event := v_event + p_event_counts[i];
    END LOOP;

    IF v_applied > 0 THEN
        WITH inserted AS (
            INSERT INTO eventstream.events AS e (
                version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
            )
            SELECT
                u.version,
                coalesce(u.event_id, eventstream.uuid_v7()),
                coalesce(u.occurred_at, clock_timestamp()),
                v_head.partition_id,
                v_head.stream_id,
                v_head.tenant_id,
                u.type,
                coalesce(u.payload, 'null'),
                u.data,
                coalesce(u.metadata, '{}')
            FROM unnest(v_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
                AS u (version, event_id, type, payload, data, metadata, occurred_at)
            WHERE u.version IS NOT NULL
            RETURNING e.position
        )
        SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;
    END IF;

    RETURN QUERY
    SELECT u.ordinality::integer, u.outcome, u.first, u.last, v_positions[u.events_so_far], u.current, u.watermark, v_head.tenant_id::text
    FROM unnest(v_outcomes, v_first, v_last, v_ends, v_currents, v_watermarks)
        WITH ORDINALITY AS u (outcome, first, last, events_so_far, current, watermark, ordinality);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.append_run(
    text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[]
) IS 'append_many for several requests to one stream, each on its own; no row where append_many is to do it. Call append_batch.';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.append_many(
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
    p_atomic boolean
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
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_events integer := cardinality(p_types);
    v_locked bigint;
    v_created boolean := false;
    v_fit boolean;
    v_placed boolean;
    -- Per request, in the caller's order.
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_current bigint[];
    v_watermarks bigint[];
    v_found_positions bigint[];
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_streams eventstream.stream_id[];
    v_tenants eventstream.tenant_id[];
    v_partitions eventstream.partition_id[];
    -- Per event.
    v_event_streams eventstream.stream_id[];
    v_event_versions bigint[];
    v_event_tenants eventstream.tenant_id[];
    v_event_partitions eventstream.partition_id[];
    v_positions bigint[];
BEGIN
    IF (v_events >= 1 AND v_events <= 100000
        AND CASE
            WHEN v_requests = v_events THEN
                array_position(p_stream_ids, NULL) IS NULL AND -3 <= ALL (p_expected) AND 1 = ALL (p_event_counts)
            ELSE eventstream.batch_adds_up(p_stream_ids, p_expected, p_event_counts, v_events)
        END
        AND cardinality(p_expected) = v_requests AND cardinality(p_event_counts) = v_requests
        AND (p_tenant_ids IS NULL OR cardinality(p_tenant_ids) = v_requests)
        AND (p_partition_ids IS NULL OR cardinality(p_partition_ids) = v_requests)
        AND (p_event_ids IS NULL OR cardinality(p_event_ids) = v_events)
        AND (p_payloads IS NULL OR cardinality(p_payloads) = v_events)
        AND (p_data IS NULL OR cardinality(p_data) = v_events)
        AND (p_metadata IS NULL OR cardinality(p_metadata) = v_events)
        AND (p_occurred_at IS NULL OR cardinality(p_occurred_at) = v_events)) IS NOT TRUE
    THEN
        PERFORM eventstream.refuse_batch(p_stream_ids, p_expected, p_event_counts, v_events,
            ARRAY[v_events, cardinality(p_event_ids), cardinality(p_payloads), cardinality(p_data), cardinality(p_metadata),
                cardinality(p_occurred_at)],
            ARRAY[v_requests, cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
                cardinality(p_partition_ids)]);
    END IF;
    IF NOT p_atomic AND v_requests <= 200 AND p_partition_ids IS NULL AND p_stream_ids[1] = ALL (p_stream_ids) THEN
        RETURN QUERY SELECT o.* FROM eventstream.append_run(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
            p_occurred_at, p_tenant_ids) AS o;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    -- Locks the heads in order of stream_id, once all are there: a lock on some, and a wait for others, could meet another batch half
    -- way. Judges as if every request will be applied: where that is so, nothing is left to do.
    LOOP
        SELECT
            count(*),
            bool_and(eventstream.judge(
                c.expected, c.tenant_id, c.head_tenant_id, c.head_version + c.events_so_far - c.events,
                c.head_watermark + c.events_so_far - c.events) IS NULL),
            bool_and(coalesce(c.partition_id = c.head_partition_id, true)),
            array_agg(c.head_version + c.events_so_far - c.events + 1 ORDER BY c.ordinality),
            array_agg(c.head_version + c.events_so_far ORDER BY c.ordinality),
            array_agg(c.head_stream_id ORDER BY c.ordinality),
            array_agg(c.head_tenant_id ORDER BY c.ordinality),
            array_agg(c.head_partition_id ORDER BY c.ordinality)
        INTO v_locked, v_fit, v_placed, v_first, v_last, v_streams, v_tenants, v_partitions
        FROM (
            SELECT l.*, sum(l.events) OVER (PARTITION BY l.stream_id ORDER BY l.ordinality) AS events_so_far
            FROM (
                SELECT q.ordinality, q.stream_id, q.expected, q.events,
                    nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
                    s.current_version AS head_version, s.watermark AS head_watermark,
                    s.stream_id AS head_stream_id, s.tenant_id AS head_tenant_id, s.partition_id AS head_partition_id
                FROM (
                    SELECT u.stream_id COLLATE "C" AS stream_id, u.expected, u.events, u.tenant_id, u.partition_id, u.ordinality
                    FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids)
                        WITH ORDINALITY AS u (stream_id, expected, events, tenant_id, partition_id, ordinality)
                    WHERE v_created OR v_requests = (
                        SELECT count(*)
                        FROM unnest(p_stream_ids) AS e (stream_id)
                        CROSS JOIN LATERAL (
                            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = e.stream_id OFFSET 0
                        ) AS t
                    )
                    ORDER BY u.stream_id COLLATE "C", u.ordinality
                    OFFSET 0
                ) AS q
                CROSS JOIN LATERAL (
                    SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id FOR NO KEY UPDATE
                ) AS s
            ) AS l
        ) AS c;
        EXIT WHEN v_locked = v_requests;
        PERFORM eventstream.create_heads(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids);
        v_created := true;
    END LOOP;

    IF NOT v_placed THEN
        PERFORM eventstream.refuse_partition(s.stream_id, s.partition_id, q.partition_id)
        FROM unnest(p_stream_ids, p_partition_ids) AS q (stream_id, partition_id)
        CROSS JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s
        WHERE nullif(q.partition_id, -1) <> s.partition_id;
    END IF;
    IF v_fit IS NOT TRUE OR EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids)) THEN
        SELECT j.* INTO v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks
        FROM eventstream.judge_each(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_tenant_ids) AS j;
        IF p_atomic AND NOT (v_outcomes <@ ARRAY['appended', 'duplicate']) THEN
            RETURN QUERY SELECT b.* FROM eventstream.refused_batch(
                p_stream_ids, v_outcomes, v_first, v_last, v_found_positions) AS b;
            RETURN;
        END IF;
    END IF;

    IF v_outcomes IS NULL AND v_requests = cardinality(p_types) THEN
        v_event_streams := v_streams;
        v_event_versions := v_first;
        v_event_tenants := v_tenants;
        v_event_partitions := v_partitions;
    ELSE
        SELECT
            array_agg(q.stream_id ORDER BY q.ordinality, k),
            array_agg(CASE WHEN coalesce(q.outcome = 'appended', true) THEN q.first_version + k END ORDER BY q.ordinality, k),
            array_agg(q.tenant_id ORDER BY q.ordinality, k),
            array_agg(q.partition_id ORDER BY q.ordinality, k)
        INTO v_event_streams, v_event_versions, v_event_tenants, v_event_partitions
        FROM unnest(v_streams, v_outcomes, v_first, v_tenants, v_partitions, p_event_counts)
            WITH ORDINALITY AS q (stream_id, outcome, first_version, tenant_id, partition_id, events, ordinality)
        CROSS JOIN LATERAL generate_series(0, q.events - 1) AS k;
    END IF;

    WITH inserted AS (
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            u.version,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            u.partition_id,
            u.stream_id,
            u.tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(
            v_event_streams, v_event_versions, v_event_tenants, v_event_partitions,
            p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at
        ) AS u (stream_id, version, tenant_id, partition_id, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.version IS NOT NULL
        RETURNING e.position
    )
    SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;

    IF v_outcomes IS NULL AND v_requests = cardinality(p_types) THEN
        -- An event a request, all of them applied.
        RETURN QUERY
        SELECT u.ordinality::integer, 'appended'::text, u.version, u.version, u.position, u.version, u.version, u.tenant_id::text
        FROM unnest(v_first, v_positions, v_tenants) WITH ORDINALITY AS u (version, position, tenant_id, ordinality);
        RETURN;
    END IF;
    IF v_outcomes IS NOT NULL AND v_created THEN
        PERFORM eventstream.drop_empty_heads(p_stream_ids);
    END IF;

    -- Positions came in the order of the events: a request's last one is where its events end among those that were inserted.
    RETURN QUERY
    SELECT
        q.ordinality::integer,
        coalesce(q.outcome, 'appended'),
        q.first_version,
        q.last_version,
        CASE WHEN coalesce(q.outcome = 'appended', true) THEN v_positions[q.events_so_far] ELSE q.found_position END,
        coalesce(q.current_version, q.last_version),
        coalesce(q.watermark, q.last_version),
        q.tenant_id::text
    FROM (
        SELECT u.*, sum(CASE WHEN coalesce(u.outcome = 'appended', true) THEN u.events ELSE 0 END)
            OVER (ORDER BY u.ordinality) AS events_so_far
        FROM unnest(
            v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks, v_tenants, p_event_counts
        ) WITH ORDINALITY AS u (
            outcome, first_version, last_version, found_position, current_version, watermark, tenant_id, events, ordinality
        )
    ) AS q;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.append_batch(
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
    p_atomic boolean DEFAULT true
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
SET search_path = ''
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_events integer := cardinality(p_types);
    v_stream_id text := p_stream_ids[1];
    v_expected bigint := p_expected[1];
    -- '' and -1 stand for not given, for callers whose arrays hold no NULL.
    v_tenant_id text := nullif(p_tenant_ids[1], '');
    v_placed_id integer := nullif(p_partition_ids[1], -1);
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_head_id eventstream.stream_id;
    v_head_tenant_id eventstream.tenant_id;
    v_partition_id eventstream.partition_id;
BEGIN
    IF v_requests IS DISTINCT FROM 1 THEN
        RETURN QUERY SELECT m.* FROM eventstream.append_many(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
            p_occurred_at, p_tenant_ids, p_partition_ids, p_atomic) AS m;
        RETURN;
    END IF;
    -- Spelled out rather than put into arrays: this is evaluated on each call.
    IF (v_events >= 1 AND v_events <= 100000
        AND v_stream_id IS NOT NULL AND v_expected >= -3 AND p_event_counts[1] = v_events
        AND cardinality(p_expected) = 1 AND cardinality(p_event_counts) = 1
        AND (p_tenant_ids IS NULL OR cardinality(p_tenant_ids) = 1)
        AND (p_partition_ids IS NULL OR cardinality(p_partition_ids) = 1)
        AND (p_event_ids IS NULL OR cardinality(p_event_ids) = v_events)
        AND (p_payloads IS NULL OR cardinality(p_payloads) = v_events)
        AND (p_data IS NULL OR cardinality(p_data) = v_events)
        AND (p_metadata IS NULL OR cardinality(p_metadata) = v_events)
        AND (p_occurred_at IS NULL OR cardinality(p_occurred_at) = v_events)) IS NOT TRUE
    THEN
        PERFORM eventstream.refuse_batch(p_stream_ids, p_expected, p_event_counts, v_events,
            ARRAY[v_events, cardinality(p_event_ids), cardinality(p_payloads), cardinality(p_data), cardinality(p_metadata),
                cardinality(p_occurred_at)],
            ARRAY[v_requests, cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
                cardinality(p_partition_ids)]);
    END IF;

    -- One request, the common case. Its stream is locked before its version is checked, and that before a position is drawn: a loser
    -- burns no number, and positions rise with versions.
    request := 1;
    LOOP
        SELECT s.stream_id, s.tenant_id, s.partition_id, s.current_version, s.watermark
        INTO v_head_id, v_head_tenant_id, v_partition_id, current_version, watermark
        FROM eventstream.streams AS s
        WHERE s.stream_id = v_stream_id
        FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        IF v_expected = -2 OR v_expected > 0 THEN
            outcome := CASE WHEN v_expected = -2 THEN 'stream_missing' ELSE 'version_conflict' END;
            current_version := 0;
            watermark := 0;
            RETURN NEXT;
            RETURN;
        END IF;
        v_head_id := v_stream_id;
        v_head_tenant_id := coalesce(v_tenant_id, 'default');
        v_partition_id := coalesce(v_placed_id, eventstream.partition_of(v_stream_id, eventstream.partition_count()));
        IF eventstream.create_head(v_stream_id, v_head_tenant_id, v_partition_id) THEN
            current_version := 0;
            watermark := 0;
            EXIT;
        END IF;
    END LOOP;

    tenant_id := v_head_tenant_id;
    IF v_placed_id <> v_partition_id THEN
        PERFORM eventstream.refuse_partition(v_stream_id, v_partition_id, v_placed_id);
    END IF;
    outcome := eventstream.judge(v_expected, v_tenant_id, tenant_id, current_version, watermark);
    IF outcome IS DISTINCT FROM 'tenant_mismatch'
        AND EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids))
    THEN
        SELECT d.first_version, d.last_version, d.last_position
        INTO first_version, last_version, last_position
        FROM eventstream.find_duplicate(v_stream_id, p_event_ids, p_types, p_payloads, p_data) AS d;
        outcome := 'duplicate';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    first_version := current_version + 1;
    IF v_events = 1 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        VALUES (
            first_version,
            coalesce(p_event_ids[1], eventstream.uuid_v7()),
            coalesce(p_occurred_at[1], clock_timestamp()),
            v_partition_id,
            v_head_id,
            v_head_tenant_id,
            p_types[1],
            coalesce(p_payloads[1], 'null'),
            p_data[1],
            coalesce(p_metadata[1], '{}')
        );
    ELSE
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            append_batch.current_version + u.ordinality,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            v_partition_id,
            v_head_id,
            v_head_tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            WITH ORDINALITY AS u (event_id, type, payload, data, metadata, occurred_at, ordinality);
    END IF;

    outcome := 'appended';
    last_version := current_version + v_events;
    last_position := currval('eventstream.events_position_seq'::regclass);
    current_version := last_version;
    watermark := last_version;
    RETURN NEXT;
END;
$$;
-- +goose StatementEnd

-- append_many runs with the owner's rights now, as append_batch does: a group of appends calls it directly.
-- +goose StatementBegin
CREATE FUNCTION eventstream.grant_like(p_function regprocedure, p_model text) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    r record;
BEGIN
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', p_function);
    FOR r IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
            CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS option
        FROM pg_proc AS p
        CROSS JOIN LATERAL aclexplode(p.proacl) AS a
        WHERE p.pronamespace = 'eventstream'::regnamespace AND p.proname = p_model AND a.grantee <> p.proowner
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s%s', p_function, r.grantee, r.option);
    END LOOP;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.grant_like(regprocedure, text) IS
    'Lets those, and only those, execute a new function who may execute another one of the schema. For migrations.';

SELECT eventstream.grant_like(
    'eventstream.append_many(text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[], integer[], '
    'boolean)'::regprocedure,
    'append_batch');

-- +goose Down
DROP FUNCTION eventstream.grant_like(regprocedure, text);
GRANT EXECUTE ON FUNCTION eventstream.append_many(
    text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[], integer[], boolean
) TO PUBLIC;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.append_batch(
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
    p_atomic boolean DEFAULT true
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
SET search_path = ''
SET enable_seqscan = off
AS $$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_events integer := cardinality(p_types);
    v_stream_id text := p_stream_ids[1];
    v_expected bigint := p_expected[1];
    -- '' and -1 stand for not given, for callers whose arrays hold no NULL.
    v_tenant_id text := nullif(p_tenant_ids[1], '');
    v_placed_id integer := nullif(p_partition_ids[1], -1);
    v_partition_id integer;
BEGIN
    -- Spelled out rather than put into arrays: this is evaluated on each call.
    IF (v_events >= 1 AND v_events <= 100000
        AND CASE
            WHEN v_requests = 1 THEN v_stream_id IS NOT NULL AND v_expected >= -3 AND p_event_counts[1] = v_events
            ELSE eventstream.batch_adds_up(p_stream_ids, p_expected, p_event_counts, v_events)
        END
        AND cardinality(p_expected) = v_requests AND cardinality(p_event_counts) = v_requests
        AND (p_tenant_ids IS NULL OR cardinality(p_tenant_ids) = v_requests)
        AND (p_partition_ids IS NULL OR cardinality(p_partition_ids) = v_requests)
        AND (p_event_ids IS NULL OR cardinality(p_event_ids) = v_events)
        AND (p_payloads IS NULL OR cardinality(p_payloads) = v_events)
        AND (p_data IS NULL OR cardinality(p_data) = v_events)
        AND (p_metadata IS NULL OR cardinality(p_metadata) = v_events)
        AND (p_occurred_at IS NULL OR cardinality(p_occurred_at) = v_events)) IS NOT TRUE
    THEN
        PERFORM eventstream.refuse_batch(p_stream_ids, p_expected, p_event_counts, v_events,
            ARRAY[v_events, cardinality(p_event_ids), cardinality(p_payloads), cardinality(p_data), cardinality(p_metadata),
                cardinality(p_occurred_at)],
            ARRAY[v_requests, cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
                cardinality(p_partition_ids)]);
    END IF;
    IF v_requests > 1 THEN
        RETURN QUERY SELECT m.* FROM eventstream.append_many(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
            p_occurred_at, p_tenant_ids, p_partition_ids, p_atomic) AS m;
        RETURN;
    END IF;

    -- One request, the common case. Its stream is locked before its version is checked, and that before a position is drawn: a loser
    -- burns no number, and positions rise with versions.
    request := 1;
    LOOP
        SELECT s.tenant_id, s.partition_id, s.current_version, s.watermark
        INTO tenant_id, v_partition_id, current_version, watermark
        FROM eventstream.streams AS s
        WHERE s.stream_id = v_stream_id
        FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        IF v_expected = -2 OR v_expected > 0 THEN
            outcome := CASE WHEN v_expected = -2 THEN 'stream_missing' ELSE 'version_conflict' END;
            current_version := 0;
            watermark := 0;
            RETURN NEXT;
            RETURN;
        END IF;
        PERFORM eventstream.create_head(v_stream_id, v_tenant_id, v_placed_id);
    END LOOP;

    IF v_placed_id <> v_partition_id THEN
        PERFORM eventstream.refuse_partition(v_stream_id, v_partition_id, v_placed_id);
    END IF;
    outcome := eventstream.judge(v_expected, v_tenant_id, tenant_id, current_version, watermark);
    IF outcome IS DISTINCT FROM 'tenant_mismatch'
        AND EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids))
    THEN
        SELECT d.first_version, d.last_version, d.last_position
        INTO first_version, last_version, last_position
        FROM eventstream.find_duplicate(v_stream_id, p_event_ids, p_types, p_payloads, p_data) AS d;
        outcome := 'duplicate';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    first_version := current_version + 1;
    IF v_events = 1 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        VALUES (
            first_version,
            coalesce(p_event_ids[1], eventstream.uuid_v7()),
            coalesce(p_occurred_at[1], clock_timestamp()),
            v_partition_id,
            v_stream_id,
            tenant_id,
            p_types[1],
            coalesce(p_payloads[1], 'null'),
            p_data[1],
            coalesce(p_metadata[1], '{}')
        );
    ELSE
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            append_batch.current_version + u.ordinality,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            v_partition_id,
            v_stream_id,
            append_batch.tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            WITH ORDINALITY AS u (event_id, type, payload, data, metadata, occurred_at, ordinality);
    END IF;

    outcome := 'appended';
    last_version := current_version + v_events;
    last_position := currval('eventstream.events_position_seq'::regclass);
    current_version := last_version;
    watermark := last_version;
    RETURN NEXT;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.append_many(
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
    p_atomic boolean
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
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_fit boolean;
    v_placed boolean;
    -- Per request, in the caller's order.
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_current bigint[];
    v_watermarks bigint[];
    v_found_positions bigint[];
    v_tenants text[];
    v_partitions integer[];
    -- Per event.
    v_event_streams text[];
    v_event_versions bigint[];
    v_event_tenants text[];
    v_event_partitions integer[];
    v_positions bigint[];
BEGIN
    IF v_requests > (
        SELECT count(*)
        FROM unnest(p_stream_ids) AS q (stream_id)
        CROSS JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s
    ) THEN
        PERFORM eventstream.create_heads(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids);
    END IF;

    -- Locks the heads in order of stream_id, and judges as if every request will be applied: where that is so, nothing is left to do.
    WITH locked AS MATERIALIZED (
        SELECT q.ordinality, q.stream_id, q.expected, q.events,
            nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
            s.current_version AS head_version, s.watermark AS head_watermark,
            s.tenant_id AS head_tenant_id, s.partition_id AS head_partition_id
        FROM (
            SELECT u.*
            FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids)
                WITH ORDINALITY AS u (stream_id, expected, events, tenant_id, partition_id, ordinality)
            ORDER BY u.stream_id COLLATE "C", u.ordinality
            OFFSET 0
        ) AS q
        CROSS JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id FOR NO KEY UPDATE
        ) AS s
    ), counted AS (
        SELECT l.*, sum(l.events) OVER (PARTITION BY l.stream_id ORDER BY l.ordinality) AS events_so_far
        FROM locked AS l
    )
    SELECT
        count(*) = v_requests AND bool_and(eventstream.judge(
            c.expected, c.tenant_id, c.head_tenant_id, c.head_version + c.events_so_far - c.events,
            c.head_watermark + c.events_so_far - c.events) IS NULL),
        bool_and(coalesce(c.partition_id = c.head_partition_id, true)),
        array_agg(c.head_version + c.events_so_far - c.events + 1 ORDER BY c.ordinality),
        array_agg(c.head_version + c.events_so_far ORDER BY c.ordinality),
        array_agg(c.head_tenant_id ORDER BY c.ordinality),
        array_agg(c.head_partition_id ORDER BY c.ordinality)
    INTO v_fit, v_placed, v_first, v_last, v_tenants, v_partitions
    FROM counted AS c;

    IF NOT v_placed THEN
        PERFORM eventstream.refuse_partition(s.stream_id, s.partition_id, q.partition_id)
        FROM unnest(p_stream_ids, p_partition_ids) AS q (stream_id, partition_id)
        CROSS JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s
        WHERE nullif(q.partition_id, -1) <> s.partition_id;
    END IF;
    IF v_fit IS NOT TRUE OR EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids)) THEN
        SELECT j.* INTO v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks
        FROM eventstream.judge_each(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_tenant_ids) AS j;
        IF p_atomic AND NOT (v_outcomes <@ ARRAY['appended', 'duplicate']) THEN
            RETURN QUERY SELECT b.* FROM eventstream.refused_batch(
                p_stream_ids, v_outcomes, v_first, v_last, v_found_positions) AS b;
            RETURN;
        END IF;
        SELECT array_agg(s.tenant_id ORDER BY q.ordinality), array_agg(s.partition_id ORDER BY q.ordinality)
        INTO v_tenants, v_partitions
        FROM unnest(p_stream_ids) WITH ORDINALITY AS q (stream_id, ordinality)
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s ON true;
    END IF;

    IF v_outcomes IS NULL AND v_requests = cardinality(p_types) THEN
        v_event_streams := p_stream_ids;
        v_event_versions := v_first;
        v_event_tenants := v_tenants;
        v_event_partitions := v_partitions;
    ELSE
        SELECT
            array_agg(q.stream_id ORDER BY q.ordinality, k),
            array_agg(CASE WHEN coalesce(q.outcome = 'appended', true) THEN q.first_version + k END ORDER BY q.ordinality, k),
            array_agg(q.tenant_id ORDER BY q.ordinality, k),
            array_agg(q.partition_id ORDER BY q.ordinality, k)
        INTO v_event_streams, v_event_versions, v_event_tenants, v_event_partitions
        FROM unnest(p_stream_ids, v_outcomes, v_first, v_tenants, v_partitions, p_event_counts)
            WITH ORDINALITY AS q (stream_id, outcome, first_version, tenant_id, partition_id, events, ordinality)
        CROSS JOIN LATERAL generate_series(0, q.events - 1) AS k;
    END IF;

    WITH inserted AS (
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            u.version,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            u.partition_id,
            u.stream_id,
            u.tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(
            v_event_streams, v_event_versions, v_event_tenants, v_event_partitions,
            p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at
        ) AS u (stream_id, version, tenant_id, partition_id, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.version IS NOT NULL
        RETURNING e.position
    )
    SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;

    IF v_outcomes IS NOT NULL THEN
        PERFORM eventstream.drop_empty_heads(p_stream_ids);
    END IF;

    -- Positions came in the order of the events: a request's last one is where its events end among those that were inserted.
    RETURN QUERY
    SELECT
        q.ordinality::integer,
        coalesce(q.outcome, 'appended'),
        q.first_version,
        q.last_version,
        CASE WHEN coalesce(q.outcome = 'appended', true) THEN v_positions[q.events_so_far] ELSE q.found_position END,
        coalesce(q.current_version, q.last_version),
        coalesce(q.watermark, q.last_version),
        q.tenant_id
    FROM (
        SELECT u.*, sum(CASE WHEN coalesce(u.outcome = 'appended', true) THEN u.events ELSE 0 END)
            OVER (ORDER BY u.ordinality) AS events_so_far
        FROM unnest(
            v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks, v_tenants, p_event_counts
        ) WITH ORDINALITY AS u (
            outcome, first_version, last_version, found_position, current_version, watermark, tenant_id, events, ordinality
        )
    ) AS q;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.judge_each(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_tenant_ids text[],
    OUT outcomes text[],
    OUT first_versions bigint[],
    OUT last_versions bigint[],
    OUT last_positions bigint[],
    OUT current_versions bigint[],
    OUT watermarks bigint[]
)
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    v_stream_id text;
    v_current bigint;
    v_watermark bigint;
    v_outcome text;
    v_requests integer[];
    v_found bigint[];
    v_same boolean[];
    v_places text[];
    v_first bigint[];
    v_last bigint[];
    v_positions bigint[];
    r record;
BEGIN
    -- What is there already of each request, all at once: a slice of the arrays for each request would cost the whole array each time.
    SELECT array_agg(q.ordinality::integer ORDER BY q.ordinality, k) INTO v_requests
    FROM unnest(p_event_counts) WITH ORDINALITY AS q (events, ordinality)
    CROSS JOIN LATERAL generate_series(1, q.events) AS k;
    SELECT array_agg(d.found ORDER BY d.request), array_agg(d.same ORDER BY d.request), array_agg(d.place ORDER BY d.request),
        array_agg(d.first ORDER BY d.request),
        array_agg(d.last ORDER BY d.request), array_agg(d.position ORDER BY d.request)
    INTO v_found, v_same, v_places, v_first, v_last, v_positions
    FROM (
        SELECT
            u.request,
            count(e.event_id) AS found,
            -- Each with the same content, in the same order, in one stream.
            coalesce(bool_and(
                e.type = u.type AND e.payload = coalesce(u.payload, 'null') AND e.data IS NOT DISTINCT FROM u.data
            ), false) AND min(e.version - u.ordinality) = max(e.version - u.ordinality) AS same,
            CASE WHEN min(e.stream_id) = max(e.stream_id) THEN min(e.stream_id) END AS place,
            min(e.version::bigint) AS first,
            max(e.version::bigint) AS last,
            max(e.position) AS position
        FROM unnest(v_requests, p_event_ids, p_types, p_payloads, p_data)
            WITH ORDINALITY AS u (request, event_id, type, payload, data, ordinality)
        LEFT JOIN eventstream.events AS e ON e.event_id = u.event_id
        GROUP BY u.request
    ) AS d;

    outcomes := array_fill(NULL::text, ARRAY[cardinality(p_stream_ids)]);
    first_versions := array_fill(NULL::bigint, ARRAY[cardinality(p_stream_ids)]);
    last_versions := first_versions;
    last_positions := first_versions;
    current_versions := first_versions;
    watermarks := first_versions;
    FOR r IN
        SELECT
            q.ordinality AS n,
            q.stream_id,
            q.expected,
            q.events,
            nullif(q.tenant_id, '') AS tenant_id,
            q.found,
            q.found = q.events AND q.same AND coalesce(q.place = q.stream_id, false) AS repeated,
            q.first,
            q.last,
            q.position,
            (sum(q.events) OVER (ORDER BY q.ordinality))::integer AS last_event,
            s.tenant_id AS head_tenant_id,
            coalesce(s.current_version, 0) AS head_version,
            coalesce(s.watermark, 0) AS head_watermark
        FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids,
            v_found, v_same, v_places, v_first, v_last, v_positions)
            WITH ORDINALITY AS q (
                stream_id, expected, events, tenant_id, found, same, place, first, last, position, ordinality
            )
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s ON true
        ORDER BY q.stream_id COLLATE "C", q.ordinality
    LOOP
        IF v_stream_id IS DISTINCT FROM r.stream_id THEN
            v_stream_id := r.stream_id;
            v_current := r.head_version;
            v_watermark := r.head_watermark;
        END IF;
        v_outcome := eventstream.judge(r.expected, r.tenant_id, r.head_tenant_id, v_current, v_watermark);
        IF r.found > 0 AND v_outcome IS DISTINCT FROM 'tenant_mismatch' THEN
            IF NOT r.repeated THEN
                -- Says what differs.
                PERFORM eventstream.find_duplicate(
                    r.stream_id,
                    p_event_ids[r.last_event - r.events + 1:r.last_event],
                    p_types[r.last_event - r.events + 1:r.last_event],
                    p_payloads[r.last_event - r.events + 1:r.last_event],
                    p_data[r.last_event - r.events + 1:r.last_event]);
            END IF;
            v_outcome := 'duplicate';
            first_versions[r.n] := r.first;
            last_versions[r.n] := r.last;
            last_positions[r.n] := r.position;
        END IF;
        IF v_outcome IS NULL THEN
            v_outcome := 'appended';
            first_versions[r.n] := v_current + 1;
            v_current := v_current + r.events;
            v_watermark := v_current;
            last_versions[r.n] := v_current;
        END IF;
        outcomes[r.n] := v_outcome;
        current_versions[r.n] := v_current;
        watermarks[r.n] := v_watermark;
    END LOOP;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.create_heads(
    p_stream_ids text[],
    p_expected bigint[],
    p_tenant_ids text[],
    p_partition_ids integer[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_ignored text;
BEGIN
    v_ignored := set_config('eventstream.gate', 'create', true);
    INSERT INTO eventstream.streams AS s (partition_id, stream_id, tenant_id)
    SELECT
        -- The row of a head that is seen stays, and this value is not used: the hash is spared.
        CASE
            WHEN u.is_there THEN 0
            ELSE coalesce(u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count()))
        END,
        u.stream_id,
        coalesce(u.tenant_id, 'default')
    FROM (
        SELECT DISTINCT ON (q.stream_id COLLATE "C")
            q.stream_id, nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
            (SELECT true FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id) AS is_there
        FROM unnest(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids)
            WITH ORDINALITY AS q (stream_id, expected, tenant_id, partition_id, ordinality)
        -- Of several requests for a new stream, the first that can create it decides where it goes. One that cannot has its head
        -- all the same, to hold the lock; it is dropped when it stays empty.
        ORDER BY q.stream_id COLLATE "C", q.expected NOT IN (-3, -1, 0), q.ordinality
    ) AS u
    ORDER BY u.stream_id COLLATE "C"
    ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE SET stream_id = EXCLUDED.stream_id WHERE false;
    v_ignored := set_config('eventstream.gate', '', true);
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION eventstream.create_head(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    v_created boolean;
BEGIN
    PERFORM set_config('eventstream.gate', 'create', true);
    -- Waits for another transaction that creates this stream: false when it won, and its head is then there to be locked.
    INSERT INTO eventstream.streams (partition_id, stream_id, tenant_id)
    VALUES (
        coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
        p_stream_id,
        coalesce(p_tenant_id, 'default'))
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    v_created := FOUND;
    PERFORM set_config('eventstream.gate', '', true);
    RETURN v_created;
END;
$$;
-- +goose StatementEnd

DROP FUNCTION eventstream.append_run(
    text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[]
);
