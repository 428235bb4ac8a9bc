-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_tenant_id(p_value text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((octet_length(p_value) <= 64) AND (p_value ~ '^[A-Za-z0-9_-]+$'::text));

COMMENT ON FUNCTION eventstream.is_tenant_id(text) IS 'Whether a text may be a tenant id: 1 to 64 of the characters A-Z a-z 0-9 _ -.';

GRANT EXECUTE ON FUNCTION eventstream.is_tenant_id(text) TO PUBLIC;
