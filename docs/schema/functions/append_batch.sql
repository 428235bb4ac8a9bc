-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_batch(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_ids text[] DEFAULT NULL::text[], p_partition_ids integer[] DEFAULT NULL::integer[], p_atomic boolean DEFAULT true, p_units integer[] DEFAULT NULL::integer[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) IS 'Appends requests, each with a stream, an expectation and p_event_counts of the events; returns a row for each. p_expected: n exactly, -1 any, -2 exists, -3 empty. outcome: appended, duplicate, version_conflict, stream_exists, stream_missing, tenant_mismatch, gap, closed; NULL for one that another takes down. p_atomic: all or nothing; else requests with the same number in p_units, or each on its own. An empty tenant and the partition -1 are none given. At most 100000 events a call.';

REVOKE ALL ON FUNCTION eventstream.append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) TO eventstream_writer;
