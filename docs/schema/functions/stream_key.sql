-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.stream_key(p_stream_id text)
 RETURNS integer
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN hashtext((p_stream_id COLLATE "C"));

COMMENT ON FUNCTION eventstream.stream_key(text) IS 'Second key of the advisory lock of a stream; the first is 1163097202 (EStr). Two streams may share one: then they share the lock.';

GRANT EXECUTE ON FUNCTION eventstream.stream_key(text) TO PUBLIC;
