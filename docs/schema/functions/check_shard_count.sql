-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_shard_count(p_shard_count integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF p_shard_count NOT BETWEEN 1 AND eventstream.partition_count() THEN
        PERFORM eventstream.refuse_value('shard count', p_shard_count::text,
            format('from 1 to %s, the store''s partition count', eventstream.partition_count()));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.check_shard_count(integer) IS 'Raises ES008 for a number of shards that is below 1 or above partition_count(); NULL is none given.';

REVOKE ALL ON FUNCTION eventstream.check_shard_count(integer) FROM PUBLIC;
