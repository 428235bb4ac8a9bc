-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tag_key(p_tag text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN hashtext((('tag '::text || p_tag) COLLATE "C"));

COMMENT ON FUNCTION eventstream.tag_key(text) IS 'Second key of the advisory lock of a tag; the first is 1163157863 (ETag). Two tags may share one: then they share the lock.';

REVOKE ALL ON FUNCTION eventstream.tag_key(text) FROM PUBLIC;
