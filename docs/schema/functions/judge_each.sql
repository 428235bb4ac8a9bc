-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_each(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_tenant_ids text[], p_partition_ids integer[], p_units integer[], p_existing bigint[])
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.judge_each(text[],bigint[],integer[],text[],integer[],integer[],bigint[]) IS 'Verdicts for a batch of which some requests are refused or were applied before. p_existing: how many events of a request exist already.';

REVOKE ALL ON FUNCTION eventstream.judge_each(text[],bigint[],integer[],text[],integer[],integer[],bigint[]) FROM PUBLIC;
