-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.lock_and_judge(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_tenant_ids text[], p_partition_ids integer[], p_event_ids uuid[], p_each_alone boolean)
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.lock_and_judge(text[],bigint[],integer[],text[],integer[],uuid[],boolean) IS 'Locks the streams of a batch and judges it in the cheapest way that can; NULL if judge_closely() has to look. p_each_alone: each request is applied on its own. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.lock_and_judge(text[],bigint[],integer[],text[],integer[],uuid[],boolean) FROM PUBLIC;
