-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.event_schema_version(p_metadata jsonb)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (NOT (p_metadata ? 'schema_version'::text)) THEN 1 WHEN ((jsonb_typeof((p_metadata -> 'schema_version'::text)) = 'number'::text) AND ((p_metadata ->> 'schema_version'::text) ~ '^[1-9][0-9]{0,8}$'::text)) THEN ((p_metadata ->> 'schema_version'::text))::integer ELSE 0 END;

COMMENT ON FUNCTION eventstream.event_schema_version(jsonb) IS 'Schema version of an event, from its metadata: schema_version, 1 if there is none, and 0 for anything that is not a whole number from 1 to 999999999.';

GRANT EXECUTE ON FUNCTION eventstream.event_schema_version(jsonb) TO PUBLIC;
