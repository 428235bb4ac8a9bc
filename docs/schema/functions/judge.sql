-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge(p_expected bigint, p_tenant_id text, p_head_tenant_id text, p_current_version bigint, p_watermark bigint)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE
        WHEN p_tenant_id <> p_head_tenant_id THEN 'tenant_mismatch'
        WHEN p_current_version > p_watermark THEN 'gap'
        WHEN p_expected = -1 OR p_expected = p_current_version THEN NULL
        WHEN p_expected = -2 THEN CASE WHEN p_current_version = 0 THEN 'stream_missing' END
        WHEN p_expected = -3 THEN CASE WHEN p_current_version > 0 THEN 'stream_exists' END
        ELSE 'version_conflict'
    END
$function$;

COMMENT ON FUNCTION eventstream.judge(bigint,text,text,bigint,bigint) IS 'Outcome of a request that its stream refuses; NULL when it may be appended. Duplicates are found before.';

GRANT EXECUTE ON FUNCTION eventstream.judge(bigint,text,text,bigint,bigint) TO PUBLIC;
