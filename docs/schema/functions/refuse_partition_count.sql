-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_partition_count(p_count integer)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse_value('partition_count', p_count::text, 'a whole number from 1 to 32768');
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_partition_count(integer) IS 'Raises ES008 for a partition count that cannot be. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_partition_count(integer) TO PUBLIC;
