-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_partition(p_value integer)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((p_value >= 0) AND (p_value < eventstream.partition_count()));

COMMENT ON FUNCTION eventstream.is_partition(integer) IS 'Whether the store has this partition: 0 to partition_count() - 1.';

GRANT EXECUTE ON FUNCTION eventstream.is_partition(integer) TO PUBLIC;
