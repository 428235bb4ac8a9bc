-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_name(p_value text)
 RETURNS boolean
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN ((octet_length(p_value) <= 128) AND (p_value ~ '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]([^\u0001-\u001f\u007f-\u009f]*[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$'::text));

COMMENT ON FUNCTION eventstream.is_name(text) IS 'Whether a text may be a stream id or an event type: 1 to 128 bytes, no control characters, no white space at either end.';

GRANT EXECUTE ON FUNCTION eventstream.is_name(text) TO PUBLIC;
