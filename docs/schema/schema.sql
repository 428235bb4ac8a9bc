-- Written by "make generate" from migrations/; not edited by hand.

CREATE SCHEMA eventstream;

COMMENT ON SCHEMA eventstream IS 'Gapless: event streams without a hole. Rules live in constraints and triggers here; SELECT * FROM eventstream.audit() checks them.';
