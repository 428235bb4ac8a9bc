-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_of(p_stream_id text, p_count integer)
 RETURNS integer
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO ''
AS $function$
DECLARE
    v_hash bytea := sha256(convert_to(p_stream_id, 'UTF8'));
    v_high bigint := ('x' || encode(substr(v_hash, 1, 4), 'hex'))::bit(32)::bigint;
    v_low bigint := ('x' || encode(substr(v_hash, 5, 4), 'hex'))::bit(32)::bigint;
BEGIN
    IF p_count NOT BETWEEN 1 AND 32768 THEN
        PERFORM eventstream.refuse_value('partition_count', p_count::text, 'a whole number from 1 to 32768');
    END IF;
    RETURN ((v_high % p_count) * (4294967296 % p_count) + v_low) % p_count;
END;
$function$;

COMMENT ON FUNCTION eventstream.partition_of(text,integer) IS 'Partition of a stream id: the first 8 bytes of its SHA-256, big-endian, modulo the count. The same as PartitionOf in Go.';

GRANT EXECUTE ON FUNCTION eventstream.partition_of(text,integer) TO PUBLIC;
