-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_light(p_value bytea)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN ((pg_column_size(p_value) < 1024) AND (pg_column_compression(p_value) IS NULL));

COMMENT ON FUNCTION eventstream.is_light(bytea) IS 'Whether data takes less than 1 KiB and is not compressed: such ones a page of the log carries without counting.';

GRANT EXECUTE ON FUNCTION eventstream.is_light(bytea) TO PUBLIC;

CREATE OR REPLACE FUNCTION eventstream.is_light(p_value jsonb)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN ((pg_column_size(p_value) < 1024) AND (pg_column_compression(p_value) IS NULL));

COMMENT ON FUNCTION eventstream.is_light(jsonb) IS 'Whether a value takes less than 1 KiB and is not compressed: such ones a page of the log carries without counting.';

GRANT EXECUTE ON FUNCTION eventstream.is_light(jsonb) TO PUBLIC;
