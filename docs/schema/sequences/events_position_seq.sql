-- Written by "make generate" from migrations/; not edited by hand.

CREATE SEQUENCE eventstream.events_position_seq AS bigint INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 START 1 CACHE 1 OWNED BY eventstream.events."position";

COMMENT ON SEQUENCE eventstream.events_position_seq IS 'Positions of events. CACHE must stay 1: numbers drawn ahead of time would be given to events long after readers have passed them.';

GRANT SELECT ON SEQUENCE eventstream.events_position_seq TO eventstream_all_tenants;
