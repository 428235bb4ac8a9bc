-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_distinct(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_tenant_ids text[], p_partition_ids integer[], p_ascending boolean)
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v eventstream.verdicts;
    v_fit boolean;
BEGIN
    SELECT
        bool_and(NOT q.waits AND eventstream.judge(q.expected, q.tenant_id, q.stream_tenant, q.version, q.version, q.last_type) IS NULL
            AND (q.partition_id = q.stream_partition) IS NOT FALSE),
        array_agg(q.version + 1),
        array_agg(q.version + q.events),
        array_agg(q.stream_tenant),
        array_agg(q.stream_partition),
        sum(q.events)
    INTO v_fit, v.first_versions, v.last_versions, v.tenant_ids, v.partition_ids, v.events
    FROM (
        SELECT u.expected, u.events, u.tenant_id, u.partition_id, coalesce(l.version, 0) AS version, l.type AS last_type,
            coalesce(l.tenant_id, u.tenant_id, 'default') AS stream_tenant,
            coalesce(l.partition_id, u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count())) AS stream_partition,
            -- As a rule, nothing waits in the whole store.
            CASE WHEN EXISTS (SELECT FROM eventstream.pending_events) THEN (
                SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = u.stream_id LIMIT 1
            ) END IS NOT NULL AS waits
        FROM (
            SELECT unnest(p_stream_ids) AS stream_id, unnest(p_expected) AS expected, unnest(p_event_counts) AS events,
                nullif(unnest(p_tenant_ids), '') AS tenant_id, nullif(unnest(p_partition_ids), -1) AS partition_id
        ) AS u
        LEFT JOIN LATERAL (
            SELECT e.version, e.tenant_id, e.partition_id, e.type
            FROM ONLY eventstream.events AS e
            WHERE e.stream_id = u.stream_id
            ORDER BY e.version DESC
            LIMIT 1
        ) AS l ON true
    ) AS q;
    IF v_fit IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    IF v.events > cardinality(p_stream_ids) OR NOT p_ascending THEN
        SELECT array_agg(c.so_far ORDER BY c.n) INTO v.ends
        FROM (
            SELECT u.n, sum(u.events) OVER (ORDER BY u.stream_id COLLATE "C") AS so_far
            FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS u (stream_id, events, n)
        ) AS c;
    END IF;
    v.current_versions := v.last_versions;
    v.watermarks := v.last_versions;
    RETURN v;
END;
$function$;

COMMENT ON FUNCTION eventstream.judge_distinct(text[],bigint[],integer[],text[],integer[],boolean) IS 'judge_together() where each stream comes once; p_ascending says that they come in order.';

REVOKE ALL ON FUNCTION eventstream.judge_distinct(text[],bigint[],integer[],text[],integer[],boolean) FROM PUBLIC;
