-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.category(p_stream_id text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$ SELECT split_part(p_stream_id, '-', 1) COLLATE "C" $function$;

COMMENT ON FUNCTION eventstream.category(text) IS 'Category of a stream: its id''s part before the first -; all of it without one.';

GRANT EXECUTE ON FUNCTION eventstream.category(text) TO PUBLIC;
