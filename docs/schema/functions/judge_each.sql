-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_each(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_tenant_ids text[], OUT outcomes text[], OUT first_versions bigint[], OUT last_versions bigint[], OUT last_positions bigint[], OUT current_versions bigint[], OUT watermarks bigint[])
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.judge_each(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],text[]) IS 'Outcome and versions of each request of a batch, one by one. For append_batch alone.';

GRANT EXECUTE ON FUNCTION eventstream.judge_each(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],text[]) TO PUBLIC;
