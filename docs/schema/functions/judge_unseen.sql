-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.judge_unseen(p_expected bigint)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (p_expected = '-2'::integer) THEN 'stream_missing'::text WHEN (p_expected > 0) THEN 'version_conflict'::text ELSE 'tenant_mismatch'::text END;

COMMENT ON FUNCTION eventstream.judge_unseen(bigint) IS 'Outcome of a request to a stream of another tenant: that of a stream that does not exist; tenant_mismatch where the request would have begun it.';

REVOKE ALL ON FUNCTION eventstream.judge_unseen(bigint) FROM PUBLIC;
