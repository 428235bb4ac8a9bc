-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_erased(p_payload jsonb, p_data bytea, p_metadata jsonb)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((p_metadata = '{"$erased": true}'::jsonb) AND (p_payload = 'null'::jsonb) AND (p_data IS NULL));

COMMENT ON FUNCTION eventstream.is_erased(jsonb,bytea,jsonb) IS 'Whether this is what an event holds whose content was taken away: the JSON null, no data, and metadata that say so.';

GRANT EXECUTE ON FUNCTION eventstream.is_erased(jsonb,bytea,jsonb) TO PUBLIC;
