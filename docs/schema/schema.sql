-- Written by "make generate" from migrations/; not edited by hand.

CREATE SCHEMA eventstream;

COMMENT ON SCHEMA eventstream IS 'Gapless: event streams without a hole. Rules live in constraints and triggers here; SELECT * FROM eventstream.audit() checks them.';

GRANT USAGE ON SCHEMA eventstream TO eventstream_auditor;
GRANT USAGE ON SCHEMA eventstream TO eventstream_eraser;
GRANT USAGE ON SCHEMA eventstream TO eventstream_reader;
GRANT USAGE ON SCHEMA eventstream TO eventstream_subscriber;
GRANT USAGE ON SCHEMA eventstream TO eventstream_tenant;
GRANT USAGE ON SCHEMA eventstream TO eventstream_writer;
