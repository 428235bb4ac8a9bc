-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_one(p_stream_id text, p_expected bigint, p_events integer, p_tenant_id text, p_partition_id integer)
 RETURNS eventstream.verdicts
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v eventstream.verdicts;
    v_version bigint;
    v_tenant_id text;
    v_partition_id integer;
    v_type text;
    v_waits boolean;
BEGIN
    SELECT l.version, l.tenant_id, l.partition_id, l.type,
        EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p_stream_id)
    INTO v_version, v_tenant_id, v_partition_id, v_type, v_waits
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT e.version, e.tenant_id, e.partition_id, e.type
        FROM ONLY eventstream.events AS e
        WHERE e.stream_id = p_stream_id
        ORDER BY e.version DESC
        LIMIT 1
    ) AS l ON true;
    IF v_version IS NULL THEN
        v_version := 0;
        v_tenant_id := coalesce(p_tenant_id, 'default');
        v_partition_id := coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count()));
    END IF;
    IF NOT v_waits AND eventstream.judge(p_expected, p_tenant_id, v_tenant_id, v_version, v_version, v_type) IS NULL
        AND (p_partition_id = v_partition_id) IS NOT FALSE
    THEN
        v.first_versions := ARRAY[v_version + 1];
        v.last_versions := ARRAY[v_version + p_events];
        v.current_versions := v.last_versions;
        v.watermarks := v.last_versions;
        v.tenant_ids := ARRAY[v_tenant_id];
        v.partition_ids := ARRAY[v_partition_id];
        v.ends := ARRAY[p_events];
        v.events := p_events;
        RETURN v;
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.judge_one(text,bigint,integer,text,integer) IS 'judge_together() for a batch of one request.';

REVOKE ALL ON FUNCTION eventstream.judge_one(text,bigint,integer,text,integer) FROM PUBLIC;
