-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.partition_of(p_stream_id text, p_count integer)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN ((p_count < 1) OR (p_count > 32768)) THEN eventstream.refuse_partition_count(p_count) ELSE (((((((('x'::text || encode(substr(sha256((replace(p_stream_id, '\'::text, '\\'::text))::bytea), 1, 4), 'hex'::text)))::bit(32))::bigint % (p_count)::bigint) * ('4294967296'::bigint % (p_count)::bigint)) + ((('x'::text || encode(substr(sha256((replace(p_stream_id, '\'::text, '\\'::text))::bytea), 5, 4), 'hex'::text)))::bit(32))::bigint) % (p_count)::bigint))::integer END;

COMMENT ON FUNCTION eventstream.partition_of(text,integer) IS 'Partition of a stream id: the first 8 bytes of its SHA-256, big-endian, modulo the count. The same as PartitionOf in Go.';

GRANT EXECUTE ON FUNCTION eventstream.partition_of(text,integer) TO PUBLIC;
