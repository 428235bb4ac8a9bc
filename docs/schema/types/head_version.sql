-- Written by "make generate" from migrations/; not edited by hand.

CREATE DOMAIN eventstream.head_version AS bigint
    CONSTRAINT head_version_valid CHECK (VALUE >= 0);

COMMENT ON DOMAIN eventstream.head_version IS 'Where a stream stands: 0 or more.';

GRANT USAGE ON DOMAIN eventstream.head_version TO PUBLIC;
