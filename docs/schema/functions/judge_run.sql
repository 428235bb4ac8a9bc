-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_run(p_stream_id text, p_expected bigint[], p_event_counts integer[], p_tenant_ids text[], p_partition_ids integer[], p_event_ids uuid[])
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_outcome text;
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_watermarks bigint[];
    v_ends integer[];
    v_now bigint;
    v_tenant_id text;
    v_partition_id integer;
    v_type text;
    v_waits boolean;
    v_applied integer := 0;
BEGIN
    SELECT coalesce(l.version, 0), l.tenant_id, l.partition_id, l.type,
        EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p_stream_id)
    INTO v_now, v_tenant_id, v_partition_id, v_type, v_waits
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT e.version, e.tenant_id, e.partition_id, e.type
        FROM ONLY eventstream.events AS e
        WHERE e.stream_id = p_stream_id
        ORDER BY e.version DESC
        LIMIT 1
    ) AS l ON true;
    IF v_waits THEN
        RETURN NULL;
    ELSIF v_now = 0 THEN
        -- What a new stream is, is for its first request to say.
        v_tenant_id := coalesce(nullif(p_tenant_ids[1], ''), 'default');
        v_partition_id := coalesce(nullif(p_partition_ids[1], -1),
            eventstream.partition_of(p_stream_id, eventstream.partition_count()));
    END IF;
    -- As a rule, one request is applied: without what it takes to tell several apart.
    IF cardinality(p_expected) = 1 AND (nullif(p_partition_ids[1], -1) = v_partition_id) IS NOT FALSE
        AND eventstream.judge(p_expected[1], nullif(p_tenant_ids[1], ''), v_tenant_id, v_now, v_now, v_type) IS NULL
    THEN
        v_last := ARRAY[v_now + p_event_counts[1]];
        RETURN (NULL, ARRAY[v_now + 1], v_last, NULL, v_last, v_last, ARRAY[v_tenant_id], ARRAY[v_partition_id],
            p_event_counts, p_event_counts[1]::bigint)::eventstream.verdicts;
    END IF;
    v_first := array_fill(NULL::bigint, ARRAY[cardinality(p_expected)]);
    v_last := v_first;
    FOR i IN 1 .. cardinality(p_expected) LOOP
        IF nullif(p_partition_ids[i], -1) <> v_partition_id THEN
            RETURN NULL;
        END IF;
        v_outcome := eventstream.judge(p_expected[i], nullif(p_tenant_ids[i], ''), v_tenant_id, v_now, v_now, v_type);
        IF v_outcome IS NULL THEN
            v_first[i] := v_now + 1;
            v_now := v_now + p_event_counts[i];
            v_last[i] := v_now;
            v_applied := v_applied + p_event_counts[i];
        ELSE
            v_outcomes := coalesce(v_outcomes, array_fill('appended'::text, ARRAY[cardinality(p_expected)]));
            v_outcomes[i] := v_outcome;
        END IF;
        v_watermarks[i] := v_now;
        v_ends[i] := v_applied;
    END LOOP;
    -- Without a last event the stream is new.
    IF v_outcomes IS NOT NULL AND (v_type IS NULL OR eventstream.any_exists(p_event_ids)) THEN
        RETURN NULL;
    END IF;
    RETURN (v_outcomes, v_first, v_last, NULL, v_watermarks, v_watermarks,
        array_fill(v_tenant_id, ARRAY[cardinality(p_expected)]),
        array_fill(v_partition_id, ARRAY[cardinality(p_expected)]), v_ends, v_applied::bigint)::eventstream.verdicts;
END;
$function$;

COMMENT ON FUNCTION eventstream.judge_run(text,bigint[],integer[],text[],integer[],uuid[]) IS 'Verdicts for requests to one stream, each on its own; NULL if judge_closely() has to look. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.judge_run(text,bigint[],integer[],text[],integer[],uuid[]) FROM PUBLIC;
