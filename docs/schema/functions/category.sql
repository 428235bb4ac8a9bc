-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.category(p_stream_id text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN (split_part(p_stream_id, '-'::text, 1) COLLATE "C");

COMMENT ON FUNCTION eventstream.category(text) IS 'Category of a stream: the part of its id before the first -, or the whole id if it has none.';

GRANT EXECUTE ON FUNCTION eventstream.category(text) TO PUBLIC;
