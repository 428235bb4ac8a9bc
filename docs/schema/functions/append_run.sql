-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_run(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_metadata jsonb[], p_occurred_at timestamp with time zone[], p_tenant_ids text[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.append_run(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[]) IS 'append_many for several requests to one stream, each on its own; no row where append_many is to do it. Call append_batch.';

GRANT EXECUTE ON FUNCTION eventstream.append_run(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[]) TO PUBLIC;
