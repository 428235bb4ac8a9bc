-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.event_type AS text COLLATE "C"
    CONSTRAINT event_type_valid CHECK (
CASE
    WHEN VALUE IS NULL THEN true
    WHEN octet_length(VALUE) <= 128 AND VALUE ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$'::text THEN true
    ELSE eventstream.refuse_value('event_type'::text, VALUE, '1 to 128 bytes: a letter, then letters, digits and _ - . : /'::text)
END);

COMMENT ON DOMAIN eventstream.event_type IS 'Kind of an event: a letter, then letters, digits and _ - . : /; by convention lower-case words with dots, as order.placed.';

GRANT USAGE ON DOMAIN eventstream.event_type TO PUBLIC;
