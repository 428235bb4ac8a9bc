-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_advance_watermark(p_stream_id text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF NOT eventstream.is_of_tenant(p_stream_id, eventstream.admit_tenant(NULL)) THEN
        RETURN 0;
    END IF;
    RETURN eventstream.advance_watermark(p_stream_id);
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_advance_watermark(text) IS 'advance_watermark for a stream of the session''s tenant; 0 for any other, as for an unknown one.';

REVOKE ALL ON FUNCTION eventstream.tenant_advance_watermark(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_advance_watermark(text) TO eventstream_tenant;
