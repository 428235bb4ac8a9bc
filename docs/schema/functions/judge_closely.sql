-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_closely(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_tenant_ids text[], p_partition_ids integer[], p_units integer[])
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.judge_closely(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],text[],integer[],integer[]) IS 'Verdicts for any batch: moves what waits, finds what exists, and judges one request after the other. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.judge_closely(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],text[],integer[],integer[]) FROM PUBLIC;
