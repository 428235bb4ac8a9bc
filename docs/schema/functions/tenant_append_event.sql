-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_append_event(p_stream_id text, p_expected bigint, p_event_id uuid, p_type text, p_payload jsonb, p_data bytea, p_metadata jsonb, p_occurred_at timestamp with time zone, p_tenant_id text, p_partition_id integer, OUT outcome text, OUT first_version bigint, OUT last_version bigint, OUT last_position bigint, OUT current_version bigint, OUT watermark bigint, OUT tenant_id text)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tenant_id text := eventstream.admit_tenant(p_tenant_id);
BEGIN
    SELECT a.outcome, a.first_version, a.last_version, a.last_position, a.current_version, a.watermark, a.tenant_id
    INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id
    FROM eventstream.append_event(p_stream_id, p_expected, p_event_id, p_type, p_payload, p_data, p_metadata, p_occurred_at,
        v_tenant_id, p_partition_id) AS a;
    IF outcome = 'tenant_mismatch' THEN
        outcome := eventstream.judge_unseen(p_expected);
        current_version := 0;
        watermark := 0;
        -- Of the one who asks.
        tenant_id := CASE outcome WHEN 'tenant_mismatch' THEN v_tenant_id END;
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer) IS 'append_event for one tenant, the session''s: a stream of another is refused as one that does not exist.';

REVOKE ALL ON FUNCTION eventstream.tenant_append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_append_event(text,bigint,uuid,text,jsonb,bytea,jsonb,timestamp with time zone,text,integer) TO eventstream_tenant;
