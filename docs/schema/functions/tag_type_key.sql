-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tag_type_key(p_type text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN hashtext((('type '::text || p_type) COLLATE "C"));

COMMENT ON FUNCTION eventstream.tag_type_key(text) IS 'Second key of the advisory lock of a type, for queries by type alone; the first is that of tags.';

REVOKE ALL ON FUNCTION eventstream.tag_type_key(text) FROM PUBLIC;
