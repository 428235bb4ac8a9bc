-- Written by "make generate" from migrations/; not edited by hand.

CREATE SEQUENCE eventstream.archiving_seq AS bigint INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 START 1 CACHE 1 OWNED BY eventstream.archived_events.version;

COMMENT ON SEQUENCE eventstream.archiving_seq IS 'Id of the transaction that archived last; not a counter.';
