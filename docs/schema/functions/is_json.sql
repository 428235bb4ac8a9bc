-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_json(p_value jsonb)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (((pg_column_size(p_value) < 6900) AND (pg_column_compression(p_value) IS NULL)) OR (eventstream.json_fault(p_value) IS NULL));

COMMENT ON FUNCTION eventstream.is_json(jsonb) IS 'Whether JSON may be a payload or metadata: at most 64000000 bytes as text, and 1000 levels of arrays and objects.';

GRANT EXECUTE ON FUNCTION eventstream.is_json(jsonb) TO PUBLIC;
