-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.seal_digest(p_store_id uuid, p_block bigint, p_from_position bigint, p_to_position bigint, p_last_sequence bigint, p_sealed_at timestamp with time zone, p_event_count integer, p_previous_seal bytea, p_skipped_seal bytea, p_merkle_root bytea)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE
RETURN sha256((((((((((('\x02'::bytea || uuid_send(p_store_id)) || int8send(p_block)) || int8send(p_from_position)) || int8send(p_to_position)) || int8send(p_last_sequence)) || timestamptz_send(p_sealed_at)) || int4send(p_event_count)) || p_previous_seal) || p_skipped_seal) || p_merkle_root));

COMMENT ON FUNCTION eventstream.seal_digest(uuid,bigint,bigint,bigint,bigint,timestamp with time zone,integer,bytea,bytea,bytea) IS 'What the seal of a block with these columns must be.';

GRANT EXECUTE ON FUNCTION eventstream.seal_digest(uuid,bigint,bigint,bigint,bigint,timestamp with time zone,integer,bytea,bytea,bytea) TO PUBLIC;
