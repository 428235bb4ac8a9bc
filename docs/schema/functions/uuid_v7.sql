-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.uuid_v7()
 RETURNS uuid
 LANGUAGE plpgsql
 PARALLEL SAFE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    RETURN encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                PLACING substr(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) FROM 1 FOR 6),
            52, 1), 53, 1),
        'hex')::uuid;
END;
$function$;

COMMENT ON FUNCTION eventstream.uuid_v7() IS 'A new time-ordered UUID (RFC 9562, version 7), for events whose writer brings none.';

GRANT EXECUTE ON FUNCTION eventstream.uuid_v7() TO PUBLIC;
