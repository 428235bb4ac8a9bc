-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append(p_stream_id text, p_type text, p_payload jsonb DEFAULT '{}'::jsonb, p_expected bigint DEFAULT '-1'::integer, p_event_id uuid DEFAULT NULL::uuid, p_metadata jsonb DEFAULT '{}'::jsonb, p_tenant_id text DEFAULT NULL::text, p_occurred_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_data bytea DEFAULT NULL::bytea, p_partition_id integer DEFAULT NULL::integer)
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    r record;
BEGIN
    SELECT b.* INTO r
    FROM eventstream.append_batch(
        ARRAY[p_stream_id], ARRAY[p_expected], ARRAY[1], ARRAY[p_event_id], ARRAY[p_type], ARRAY[p_payload],
        ARRAY[p_data], ARRAY[p_metadata], ARRAY[p_occurred_at], ARRAY[p_tenant_id], ARRAY[p_partition_id]) AS b;
    CASE r.outcome
        WHEN 'appended', 'duplicate' THEN
            RETURN r.last_version;
        WHEN 'tenant_mismatch' THEN
            PERFORM eventstream.refuse_tenant(p_stream_id, r.tenant_id, p_tenant_id);
        WHEN 'closed' THEN
            PERFORM eventstream.refuse_closed(p_stream_id, r.current_version);
        WHEN 'gap' THEN
            PERFORM eventstream.refuse(
                'ES002',
                format('stream %L has a hole: version %s is missing, while versions up to %s arrived',
                    p_stream_id, r.watermark + 1, r.current_version),
                jsonb_build_object('stream_id', p_stream_id, 'first_missing', r.watermark + 1,
                    'current_version', r.current_version),
                'Fill the hole with eventstream.ingest first, or give it up with eventstream.discard_pending.');
        ELSE
            PERFORM eventstream.refuse(
                'ES001',
                format('stream %L is at version %s, expected %s', p_stream_id, r.current_version,
                    CASE p_expected WHEN -2 THEN 'it to exist' WHEN -3 THEN 'it to be empty' ELSE p_expected::text END),
                jsonb_build_object('stream_id', p_stream_id, 'outcome', r.outcome, 'expected', p_expected,
                    'current_version', r.current_version),
                'Read the stream again and decide anew, or append with p_expected => -1 (any version).');
    END CASE;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.append(text,text,jsonb,bigint,uuid,jsonb,text,timestamp with time zone,bytea,integer) IS 'Appends one event and returns its version; a refusal is an error. p_expected: n exactly, -1 any, -2 exists, -3 empty.';

GRANT EXECUTE ON FUNCTION eventstream.append(text,text,jsonb,bigint,uuid,jsonb,text,timestamp with time zone,bytea,integer) TO PUBLIC;
