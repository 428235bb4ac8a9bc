-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.stream_id AS text COLLATE "C"
    CONSTRAINT stream_id_valid CHECK (
CASE
    WHEN VALUE IS NULL THEN true
    WHEN octet_length(VALUE) <= 128 AND VALUE ~ '^[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]([^\u0001-\u001f\u007f-\u009f]*[^\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])?$'::text THEN true
    ELSE eventstream.refuse_value('stream_id'::text, VALUE, '1 to 128 bytes of UTF-8, without control characters, and without white space at either end'::text)
END);

COMMENT ON DOMAIN eventstream.stream_id IS 'Name of a stream: 1 to 128 bytes, no control characters, no white space at either end. Its part before the first - is its category.';

GRANT USAGE ON DOMAIN eventstream.stream_id TO PUBLIC;
