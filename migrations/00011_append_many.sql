-- +goose Up
-- Append for several requests at once.
-- Locks: none at install. At run time the heads of the streams in hand, in order of stream_id.

-- What becomes of each request when some are refused or were applied before: one by one, requests to one stream in the caller's order,
-- each after what the one before it will have done. The heads are locked already.
-- +goose StatementBegin
CREATE FUNCTION eventstream.judge_each(
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

COMMENT ON FUNCTION eventstream.judge_each(text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], text[]) IS
    'Outcome and versions of each request of a batch, one by one. For append_batch alone.';

-- Takes back an atomic batch of which a request was refused: the heads created to be locked go, the outcomes of the others with them.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refused_batch(
    p_stream_ids text[],
    p_outcomes text[],
    p_first_versions bigint[],
    p_last_versions bigint[],
    p_last_positions bigint[]
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
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        q.ordinality::integer,
        nullif(q.outcome, 'appended'),
        CASE WHEN q.outcome = 'duplicate' THEN q.first_version END,
        CASE WHEN q.outcome = 'duplicate' THEN q.last_version END,
        CASE WHEN q.outcome = 'duplicate' THEN q.last_position END,
        coalesce(s.current_version, 0)::bigint,
        coalesce(s.watermark, 0)::bigint,
        s.tenant_id::text
    FROM unnest(p_stream_ids, p_outcomes, p_first_versions, p_last_versions, p_last_positions)
        WITH ORDINALITY AS q (stream_id, outcome, first_version, last_version, last_position, ordinality)
    LEFT JOIN LATERAL (
        SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
    ) AS s ON true
    ORDER BY q.ordinality;
    PERFORM eventstream.drop_empty_heads(p_stream_ids);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refused_batch(text[], text[], bigint[], bigint[], bigint[]) IS
    'Result of an atomic batch of which nothing was applied. For append_batch alone.';

-- Several requests: each statement works on all of them. A plan made while the tables are small would read them whole, and be kept while
-- they grow: LATERAL with OFFSET 0, or with FOR UPDATE, leaves the planner one way, a look at the index for each request.
-- +goose StatementBegin
CREATE FUNCTION eventstream.append_many(
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

COMMENT ON FUNCTION eventstream.append_many(
    text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[], integer[], boolean
) IS 'append_batch for more than one request; call that.';

-- +goose Down
DROP FUNCTION eventstream.append_many(
    text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], jsonb[], timestamptz[], text[], integer[], boolean
);
DROP FUNCTION eventstream.refused_batch(text[], text[], bigint[], bigint[], bigint[]);
DROP FUNCTION eventstream.judge_each(text[], bigint[], integer[], uuid[], text[], jsonb[], bytea[], text[]);
