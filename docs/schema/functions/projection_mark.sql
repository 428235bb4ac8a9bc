-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.projection_mark(p_name text, p_tables_id uuid)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((('Gapless projection '::text || p_name) || ', tables '::text) || (p_tables_id)::text);

COMMENT ON FUNCTION eventstream.projection_mark(text,uuid) IS 'The comment of a schema that holds tables of a projection: whose, and which.';

GRANT EXECUTE ON FUNCTION eventstream.projection_mark(text,uuid) TO PUBLIC;
