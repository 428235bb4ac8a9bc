-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.version AS bigint
    CONSTRAINT version_valid CHECK (
CASE
    WHEN VALUE IS NULL OR VALUE >= 1 THEN true
    ELSE eventstream.refuse_value('version'::text, VALUE::text, '1 or more'::text)
END);

COMMENT ON DOMAIN eventstream.version IS 'Number of an event in its stream: 1 or more.';

GRANT USAGE ON DOMAIN eventstream.version TO PUBLIC;
