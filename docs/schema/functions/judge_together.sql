-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_together(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_tenant_ids text[], p_partition_ids integer[])
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v eventstream.verdicts;
    v_fit boolean;
BEGIN
    SELECT
        bool_and(NOT c.waits AND eventstream.judge(
            c.expected, nullif(c.tenant_id, ''), c.stream_tenant, c.before, c.before, c.last_type) IS NULL
            AND (nullif(c.partition_id, -1) = c.stream_partition) IS NOT FALSE),
        array_agg(c.before + 1 ORDER BY c.ordinality),
        array_agg(c.before + c.events ORDER BY c.ordinality),
        array_agg(c.stream_tenant ORDER BY c.ordinality),
        array_agg(c.stream_partition ORDER BY c.ordinality),
        array_agg(c.so_far::integer ORDER BY c.ordinality),
        sum(c.events)
    INTO v_fit, v.first_versions, v.last_versions, v.tenant_ids, v.partition_ids, v.ends, v.events
    FROM (
        SELECT q.ordinality, q.expected, q.events, q.tenant_id, q.partition_id, q.waits, q.last_type,
            coalesce(q.version, 0) + sum(q.events) OVER (PARTITION BY q.stream_id ORDER BY q.ordinality) - q.events AS before,
            sum(q.events) OVER (ORDER BY q.stream_id, q.ordinality) AS so_far,
            -- A new stream is of the tenant, and in the place, of the first request.
            coalesce(q.stream_tenant, first_value(coalesce(nullif(q.tenant_id, ''), 'default'))
                OVER (PARTITION BY q.stream_id ORDER BY q.ordinality)) AS stream_tenant,
            coalesce(q.stream_partition, first_value(coalesce(nullif(q.partition_id, -1),
                    CASE WHEN q.version IS NULL THEN eventstream.partition_of(q.stream_id, eventstream.partition_count()) END))
                OVER (PARTITION BY q.stream_id ORDER BY q.ordinality)) AS stream_partition
        FROM (
            SELECT u.stream_id COLLATE "C" AS stream_id, u.expected, u.events, u.tenant_id, u.partition_id, u.ordinality,
                l.version, l.tenant_id AS stream_tenant, l.partition_id AS stream_partition, l.type AS last_type,
                -- As a rule, nothing waits in the whole store.
                CASE WHEN EXISTS (SELECT FROM eventstream.pending_events) THEN (
                    SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = u.stream_id LIMIT 1
                ) END IS NOT NULL AS waits
            FROM (
                SELECT generate_subscripts(p_stream_ids, 1) AS ordinality, unnest(p_stream_ids) AS stream_id, unnest(p_expected) AS expected,
                    unnest(p_event_counts) AS events, unnest(p_tenant_ids) AS tenant_id, unnest(p_partition_ids) AS partition_id
            ) AS u
            LEFT JOIN LATERAL (
                SELECT e.version, e.tenant_id, e.partition_id, e.type
                FROM ONLY eventstream.events AS e
                WHERE e.stream_id = u.stream_id
                ORDER BY e.version DESC
                LIMIT 1
            ) AS l ON true
        ) AS q
    ) AS c;
    IF v_fit THEN
        v.current_versions := v.last_versions;
        v.watermarks := v.last_versions;
        RETURN v;
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.judge_together(text[],bigint[],integer[],text[],integer[]) IS 'Verdicts for a batch whose requests can all be applied; NULL if judge_closely() has to look. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.judge_together(text[],bigint[],integer[],text[],integer[]) FROM PUBLIC;
