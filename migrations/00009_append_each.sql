-- +goose Up
-- Where a batch is not simply applied: some of its requests are refused, or were applied before.
-- Locks: none.
-- +goose StatementBegin

-- What exists already of each request, all at once: a slice of the arrays for each would cost the whole array each
-- time.
CREATE FUNCTION eventstream.find_repeated(
    p_stream_ids text[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    OUT existing bigint[],
    OUT first_versions bigint[],
    OUT last_versions bigint[],
    OUT last_positions bigint[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_requests integer[];
    v_streams text[];
    r record;
BEGIN
    IF NOT eventstream.any_exists(p_event_ids) THEN
        RETURN;
    END IF;
    SELECT array_agg(q.ordinality::integer ORDER BY q.ordinality, k), array_agg(q.stream_id ORDER BY q.ordinality, k)
    INTO v_requests, v_streams
    FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS q (stream_id, events, ordinality)
    CROSS JOIN LATERAL generate_series(1, q.events) AS k;
    SELECT array_agg(d.existing ORDER BY d.request), array_agg(d.first_version ORDER BY d.request),
        array_agg(d.last_version ORDER BY d.request), array_agg(d.last_position ORDER BY d.request)
    INTO existing, first_versions, last_versions, last_positions
    FROM (
        SELECT u.request, count(e.version) AS existing, min(e.version) AS first_version, max(e.version) AS last_version,
            max(e.position) AS last_position
        FROM unnest(v_requests, p_event_ids) AS u (request, event_id)
        LEFT JOIN LATERAL (
            SELECT k.version, k.position FROM eventstream.events AS k WHERE k.event_id = u.event_id OFFSET 0
        ) AS e ON true
        GROUP BY u.request
    ) AS d;
    -- The first event that is not where a repetition of the same append would have it. Metadata and occurred_at do not
    -- count.
    SELECT u.event_id, u.for_stream_id, e.stream_id, e.version,
        CASE
            WHEN e.stream_id IS NULL THEN 'is new, while others of this append exist already'
            WHEN e.stream_id <> u.for_stream_id THEN 'exists already, in another stream'
            WHEN e.version <> first_versions[u.request] + u.nth - 1 THEN 'exists already, in another order'
            ELSE 'exists already, with other content'
        END AS problem
    INTO r
    FROM (
        SELECT a.*, row_number() OVER (PARTITION BY a.request ORDER BY a.ordinality) AS nth
        FROM unnest(v_requests, v_streams, p_event_ids, p_types, p_payloads, p_data)
            WITH ORDINALITY AS a (request, for_stream_id, event_id, type, payload, data, ordinality)
    ) AS u
    LEFT JOIN LATERAL (
        SELECT k.* FROM eventstream.events AS k WHERE k.event_id = u.event_id OFFSET 0
    ) AS e ON true
    WHERE existing[u.request] > 0 AND (
        e.stream_id = u.for_stream_id
        AND e.version = first_versions[u.request] + u.nth - 1
        AND e.type = u.type
        AND (e.payload = coalesce(u.payload, 'null') AND e.data IS NOT DISTINCT FROM u.data
            OR eventstream.is_erased(e.payload, e.data, e.metadata)
            AND eventstream.held_content(e.stream_id, e.version, e.event_id, u.payload, u.data))
    ) IS NOT TRUE
    ORDER BY u.request, e.stream_id IS NULL, u.ordinality
    LIMIT 1;
    IF FOUND THEN
        -- Who is bound to a tenant learns that the id is used, and not where: it may be another's.
        IF eventstream.is_bound(eventstream.calling_role()) THEN
            r.problem := 'exists already';
            r.stream_id := NULL;
            r.version := NULL;
        END IF;
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s of the append to stream %L %s', r.event_id, r.for_stream_id, r.problem),
            jsonb_build_object('event_id', r.event_id, 'stream_id', r.for_stream_id,
                'found_stream_id', r.stream_id, 'found_version', r.version, 'problem', r.problem),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.find_repeated IS
    'Where the events of each request are that exist already, the same append again; NULLs if none does; ES005 if an '
    'id is used for something else.';

-- Streams are numbered in order of their ids, so that what changes while requests are judged is an array of numbers.
CREATE FUNCTION eventstream.streams_of_batch(
    p_stream_ids text[],
    OUT numbers integer[],
    OUT versions bigint[],
    OUT pending bigint[],
    OUT tenant_ids text[],
    OUT partition_ids integer[],
    OUT last_types text[]
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT array_agg(d.number ORDER BY d.ordinality) INTO numbers
    FROM (
        SELECT u.ordinality, dense_rank() OVER (ORDER BY u.stream_id COLLATE "C")::integer AS number
        FROM unnest(p_stream_ids) WITH ORDINALITY AS u (stream_id, ordinality)
    ) AS d;
    SELECT array_agg(coalesce(l.version, 0) ORDER BY s.stream_id), array_agg(w.version ORDER BY s.stream_id),
        array_agg(coalesce(l.tenant_id, w.tenant_id) ORDER BY s.stream_id),
        array_agg(coalesce(l.partition_id, w.partition_id) ORDER BY s.stream_id), array_agg(l.type ORDER BY s.stream_id)
    INTO versions, pending, tenant_ids, partition_ids, last_types
    FROM (SELECT DISTINCT u.stream_id COLLATE "C" AS stream_id FROM unnest(p_stream_ids) AS u (stream_id)) AS s
    LEFT JOIN LATERAL (
        SELECT e.version, e.tenant_id, e.partition_id, e.type
        FROM ONLY eventstream.events AS e WHERE e.stream_id = s.stream_id ORDER BY e.version DESC LIMIT 1
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT p.version, p.tenant_id, p.partition_id
        FROM eventstream.pending_events AS p WHERE p.stream_id = s.stream_id ORDER BY p.version DESC LIMIT 1
    ) AS w ON true;
END;
$$;

COMMENT ON FUNCTION eventstream.streams_of_batch IS
    'The number of each request''s stream in the batch; and for each number, the last version, the highest version '
    'that waits, tenant and partition of that stream, and the type of its last event.';

-- One request after the other, each after what those before it will have done. Requests of one unit are applied all or
-- none.
CREATE FUNCTION eventstream.judge_each(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_units integer[],
    p_existing bigint[]
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v eventstream.verdicts;
    v_none CONSTANT bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(p_stream_ids)]);
    v_outcomes text[] := v_none::text[];
    v_first bigint[] := v_none;
    v_last bigint[] := v_none;
    v_watermarks bigint[] := v_none;
    v_tenant_ids text[] := v_none::text[];
    -- Of each stream: what waits, where it stands by what was decided so far, and where before the unit in hand.
    v_numbers integer[];
    v_pending bigint[];
    v_now bigint[];
    v_tenants text[];
    v_partitions integer[];
    v_types text[];
    v_now_before bigint[];
    v_tenants_before text[];
    v_unit_from integer := 1;
    v_refused boolean := false;
    r record;
BEGIN
    SELECT s.numbers, s.pending, s.versions, s.tenant_ids, s.partition_ids, s.last_types
    INTO v_numbers, v_pending, v_now, v_tenants, v_partitions, v_types
    FROM eventstream.streams_of_batch(p_stream_ids) AS s;
    FOR r IN
        SELECT u.ordinality::integer AS n, u.stream_id, u.expected, u.events, u.number, u.existing > 0 AS repeated,
            nullif(u.tenant_id, '') AS tenant_id, nullif(u.partition_id, -1) AS partition_id,
            lag(u.unit) OVER (ORDER BY u.ordinality) IS DISTINCT FROM coalesce(u.unit, -1) AS begins
        FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids, p_units, v_numbers, p_existing)
            WITH ORDINALITY AS u (stream_id, expected, events, tenant_id, partition_id, unit, number, existing, ordinality)
        UNION ALL
        SELECT cardinality(p_stream_ids) + 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true
        ORDER BY 1
    LOOP
        IF r.begins THEN
            -- Nothing of a refused unit is applied; one request that is refused has changed nothing.
            IF v_refused AND p_units IS NOT NULL THEN
                v_now := v_now_before;
                v_tenants := v_tenants_before;
                FOR i IN v_unit_from .. r.n - 1 LOOP
                    IF v_outcomes[i] = 'appended' THEN
                        v_outcomes[i] := NULL; v_first[i] := NULL; v_last[i] := NULL;
                    END IF;
                    v_watermarks[i] := v_now[v_numbers[i]];
                END LOOP;
            END IF;
            EXIT WHEN r.number IS NULL;
            v_unit_from := r.n; v_refused := false;
            IF p_units IS NOT NULL THEN
                v_now_before := v_now;
                v_tenants_before := v_tenants;
            END IF;
        END IF;
        IF v_now[r.number] = 0 AND v_pending[r.number] IS NULL AND v_tenants[r.number] IS NULL AND r.expected IN (-3, -1, 0) THEN
            v_tenants[r.number] := coalesce(r.tenant_id, 'default');
            v_partitions[r.number] := coalesce(r.partition_id, eventstream.partition_of(r.stream_id, eventstream.partition_count()));
        END IF;
        IF v_tenants[r.number] IS NOT NULL AND r.partition_id <> v_partitions[r.number]
            -- Who is bound to a tenant hears nothing of another's stream.
            AND (r.tenant_id = v_tenants[r.number] OR r.tenant_id IS NULL OR NOT eventstream.is_bound(eventstream.calling_role()))
        THEN
            PERFORM eventstream.refuse_partition(r.stream_id, v_partitions[r.number], r.partition_id);
        END IF;
        v_tenant_ids[r.n] := v_tenants[r.number];
        v_outcomes[r.n] := eventstream.judge(r.expected, r.tenant_id, v_tenants[r.number],
            greatest(v_now[r.number], v_pending[r.number]), v_now[r.number], v_types[r.number]);
        IF r.repeated AND v_outcomes[r.n] IS DISTINCT FROM 'tenant_mismatch' THEN
            v_outcomes[r.n] := 'duplicate';
        ELSIF v_outcomes[r.n] IS NULL THEN
            v_outcomes[r.n] := 'appended';
            v_first[r.n] := v_now[r.number] + 1;
            v_now[r.number] := v_now[r.number] + r.events;
            v_last[r.n] := v_now[r.number];
        ELSE
            v_refused := true;
        END IF;
        v_watermarks[r.n] := v_now[r.number];
    END LOOP;
    -- What waits counts in the current version. How many events are inserted up to the last one of each request.
    SELECT v_outcomes, v_first, v_last, v_none, array_agg(greatest(e.watermark, v_pending[e.number]) ORDER BY e.n), v_watermarks,
        v_tenant_ids, array_agg(v_partitions[e.number] ORDER BY e.n), array_agg(e.so_far::integer ORDER BY e.n), max(e.so_far)
    INTO v FROM (
        SELECT u.n, u.number, u.watermark, sum(CASE WHEN u.outcome = 'appended' THEN u.events ELSE 0 END) OVER (ORDER BY u.number, u.n) AS so_far
        FROM unnest(v_numbers, v_outcomes, p_event_counts, v_watermarks) WITH ORDINALITY AS u (number, outcome, events, watermark, n)
    ) AS e;
    RETURN v;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_each IS
    'Verdicts for a batch of which some requests are refused or were applied before. p_existing: how many events of a '
    'request exist already.';

CREATE FUNCTION eventstream.judge_closely(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_units integer[]
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v eventstream.verdicts;
    v_existing bigint[];
    v_first bigint[];
    v_last bigint[];
    v_positions bigint[];
BEGIN
    -- What waits and is ready goes first: it was here before.
    PERFORM eventstream.advance_watermark(w.stream_id)
    FROM (
        SELECT p.stream_id FROM eventstream.pending_events AS p WHERE p.stream_id = ANY (p_stream_ids)
        GROUP BY p.stream_id ORDER BY eventstream.stream_key(p.stream_id) OFFSET 0
    ) AS w;
    -- Where streams stand first, which ids exist second: without a lock, what commits in between is then seen as a
    -- repetition, not as a conflict with itself.
    v := eventstream.judge_each(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids, p_units, NULL);
    SELECT f.existing, f.first_versions, f.last_versions, f.last_positions INTO v_existing, v_first, v_last, v_positions
    FROM eventstream.find_repeated(p_stream_ids, p_event_counts, p_event_ids, p_types, p_payloads, p_data) AS f;
    IF v_existing IS NOT NULL THEN
        v := eventstream.judge_each(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids, p_units, v_existing);
        -- A repeated request has the result of the first time.
        SELECT array_agg(CASE u.outcome WHEN 'duplicate' THEN u.found_first ELSE u.first END ORDER BY u.n),
            array_agg(CASE u.outcome WHEN 'duplicate' THEN u.found_last ELSE u.last END ORDER BY u.n),
            array_agg(CASE u.outcome WHEN 'duplicate' THEN u.found_position END ORDER BY u.n)
        INTO v.first_versions, v.last_versions, v.last_positions
        FROM unnest(v.outcomes, v.first_versions, v.last_versions, v_first, v_last, v_positions)
            WITH ORDINALITY AS u (outcome, first, last, found_first, found_last, found_position, n);
    END IF;
    RETURN v;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_closely IS
    'Verdicts for any batch: moves what waits, finds what exists, and judges one request after the other. For '
    'append_batch alone.';

-- Two requests of a batch may be the same append, sent twice at once. The second would be a repetition if it came later,
-- and is no conflict with itself: as where both could be appended, nothing is, and they come again one by one.
CREATE FUNCTION eventstream.refuse_twins(p_event_ids uuid[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_twin uuid;
BEGIN
    SELECT u.event_id INTO v_twin
    FROM unnest(p_event_ids) AS u (event_id)
    GROUP BY u.event_id
    -- What is stored was told as a duplicate.
    HAVING count(u.event_id) > 1 AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = u.event_id)
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s comes twice in one batch', v_twin),
            jsonb_build_object('event_id', v_twin, 'problem', 'comes twice in one batch'),
            'Send the same append once, or each in a call of its own: the second one is then a duplicate.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_twins IS
    'Raises ES005 if an event that is not stored comes twice in a batch. For append_batch alone.';

REVOKE EXECUTE ON FUNCTION
    eventstream.judge_closely, eventstream.find_repeated, eventstream.streams_of_batch, eventstream.judge_each,
    eventstream.refuse_twins
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.refuse_twins, eventstream.judge_closely, eventstream.judge_each, eventstream.streams_of_batch,
    eventstream.find_repeated;
