-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_ingest(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_id text DEFAULT NULL::text, p_partition_id integer DEFAULT NULL::integer, p_max_ahead bigint DEFAULT 1000000)
 RETURNS TABLE(appended bigint, pending bigint, duplicates bigint, watermark bigint, current_version bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN QUERY
    SELECT i.appended, i.pending, i.duplicates, i.watermark, i.current_version
    FROM eventstream.ingest(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at,
        eventstream.admit_tenant(p_tenant_id), p_partition_id, p_max_ahead) AS i;
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) IS 'ingest for one tenant, the session''s; ES003 for a stream that another one uses, without a word of it.';

REVOKE ALL ON FUNCTION eventstream.tenant_ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) TO eventstream_tenant;
