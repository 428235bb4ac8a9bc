-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_save_snapshot(p_stream_id text, p_name text, p_version bigint, p_event_id uuid, p_schema_version integer, p_state bytea)
 RETURNS text
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_tenant_id text := eventstream.admit_tenant(NULL);
BEGIN
    PERFORM eventstream.refuse_snapshot(p_name, p_schema_version, p_state);
    IF NOT eventstream.is_of_tenant(p_stream_id, v_tenant_id) THEN
        RETURN 'contradicted';
    END IF;
    RETURN eventstream.save_snapshot(p_stream_id, p_name, p_version, p_event_id, p_schema_version, p_state);
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_save_snapshot(text,text,bigint,uuid,integer,bytea) IS 'save_snapshot for a stream of the session''s tenant; contradicted for any other, as for an unknown one.';

REVOKE ALL ON FUNCTION eventstream.tenant_save_snapshot(text,text,bigint,uuid,integer,bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_save_snapshot(text,text,bigint,uuid,integer,bytea) TO eventstream_tenant;
