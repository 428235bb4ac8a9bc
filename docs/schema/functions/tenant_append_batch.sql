-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_append_batch(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_ids text[] DEFAULT NULL::text[], p_partition_ids integer[] DEFAULT NULL::integer[], p_atomic boolean DEFAULT true, p_units integer[] DEFAULT NULL::integer[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tenant_ids text[] := coalesce(p_tenant_ids, array_fill(NULL::text, ARRAY[cardinality(p_stream_ids)]));
    v_first text := eventstream.admit_tenant(v_tenant_ids[1]);
BEGIN
    IF (v_first = ALL (v_tenant_ids)) IS NOT TRUE THEN
        -- Each is judged by itself; who names none is of the session's.
        SELECT array_agg(t.admitted ORDER BY u.n) INTO v_tenant_ids
        FROM unnest(v_tenant_ids) WITH ORDINALITY AS u (tenant_id, n)
        JOIN (
            SELECT d.tenant_id, eventstream.admit_tenant(d.tenant_id) AS admitted
            FROM (SELECT DISTINCT q AS tenant_id FROM unnest(v_tenant_ids) AS q) AS d
        ) AS t ON t.tenant_id IS NOT DISTINCT FROM u.tenant_id;
    END IF;
    RETURN QUERY
    SELECT b.request, CASE WHEN u.is_unseen THEN eventstream.judge_unseen(p_expected[b.request]) ELSE b.outcome END, b.first_version,
        b.last_version, b.last_position, CASE WHEN u.is_unseen THEN 0 ELSE b.current_version END,
        CASE WHEN u.is_unseen THEN 0 ELSE b.watermark END,
        CASE
            WHEN NOT u.is_unseen THEN b.tenant_id
            -- Of the one who asks.
            WHEN eventstream.judge_unseen(p_expected[b.request]) = 'tenant_mismatch' THEN v_tenant_ids[b.request]
        END
    FROM eventstream.append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, v_tenant_ids, p_partition_ids, p_atomic, p_units) AS b
    CROSS JOIN LATERAL (SELECT b.outcome IS NOT DISTINCT FROM 'tenant_mismatch' AS is_unseen) AS u;
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) IS 'append_batch for the tenant of the session, or for those that the requests name where it names none and may act for them: a stream of another tenant is refused as one that does not exist.';

REVOKE ALL ON FUNCTION eventstream.tenant_append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean,integer[]) TO eventstream_tenant;
