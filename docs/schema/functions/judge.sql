-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge(p_expected bigint, p_tenant_id text, p_stream_tenant text, p_current_version bigint, p_watermark bigint, p_last_type text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (p_tenant_id <> p_stream_tenant) THEN 'tenant_mismatch'::text WHEN (p_last_type = '$closed'::text) THEN 'closed'::text WHEN (p_current_version > p_watermark) THEN 'gap'::text WHEN ((p_expected = '-1'::integer) OR (p_expected = p_current_version)) THEN NULL::text WHEN (p_expected = '-2'::integer) THEN CASE WHEN (p_current_version = 0) THEN 'stream_missing'::text ELSE NULL::text END WHEN (p_expected = '-3'::integer) THEN CASE WHEN (p_current_version > 0) THEN 'stream_exists'::text ELSE NULL::text END ELSE 'version_conflict'::text END;

COMMENT ON FUNCTION eventstream.judge(bigint,text,text,bigint,bigint,text) IS 'Outcome of a request that its stream refuses; NULL when it may be appended. Duplicates are found before.';

REVOKE ALL ON FUNCTION eventstream.judge(bigint,text,text,bigint,bigint,text) FROM PUBLIC;
