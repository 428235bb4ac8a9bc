-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.print_seal(p_store_id uuid, p_block bigint, p_to_position bigint, p_last_sequence bigint, p_seal bytea)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE
RETURN ((((((((('gapless-seal:1:'::text || (p_store_id)::text) || ':'::text) || (p_block)::text) || ':'::text) || (p_to_position)::text) || ':'::text) || (p_last_sequence)::text) || ':'::text) || encode(p_seal, 'hex'::text));

COMMENT ON FUNCTION eventstream.print_seal(uuid,bigint,bigint,bigint,bytea) IS 'A seal as text to keep elsewhere: gapless-seal:1:store_id:block:to_position:last_sequence:seal.';

GRANT EXECUTE ON FUNCTION eventstream.print_seal(uuid,bigint,bigint,bigint,bytea) TO PUBLIC;
