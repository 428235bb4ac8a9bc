-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.schema_versions (
    version bigint NOT NULL,
    usable_from bigint NOT NULL,
    CONSTRAINT schema_versions_pkey PRIMARY KEY (version),
    CONSTRAINT schema_versions_usable_from_range CHECK (usable_from >= 1 AND usable_from <= version)
);

COMMENT ON TABLE eventstream.schema_versions IS 'From which version on code can use the schema: a row for each version of it that code was released for.';
COMMENT ON COLUMN eventstream.schema_versions.version IS 'Version of the schema: the number of its last migration.';
COMMENT ON COLUMN eventstream.schema_versions.usable_from IS 'Code that knows migrations up to this one, or more, works with it.';

GRANT SELECT ON TABLE eventstream.schema_versions TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.schema_versions TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.schema_versions TO eventstream_subscriber;
