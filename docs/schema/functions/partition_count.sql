-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_count()
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$SELECT 32$function$;

COMMENT ON FUNCTION eventstream.partition_count() IS 'Number of partitions of this store, chosen at install. Equals store.partition_count; audit() reports a difference.';

GRANT EXECUTE ON FUNCTION eventstream.partition_count() TO PUBLIC;
