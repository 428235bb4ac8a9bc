-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.metadata AS jsonb
    CONSTRAINT metadata_valid CHECK (
CASE
    WHEN VALUE IS NULL OR jsonb_typeof(VALUE) = 'object'::text THEN true
    ELSE eventstream.refuse_value('metadata'::text, VALUE::text, 'a JSON object'::text)
END);

COMMENT ON DOMAIN eventstream.metadata IS 'What describes an event: a JSON object.';

GRANT USAGE ON DOMAIN eventstream.metadata TO PUBLIC;
