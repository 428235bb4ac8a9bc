-- Written by "make generate" from migrations/; not edited by hand.

CREATE SEQUENCE eventstream.archivings_archiving_seq AS bigint INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 START 1 CACHE 1 OWNED BY eventstream.archivings.archiving;

COMMENT ON SEQUENCE eventstream.archivings_archiving_seq IS 'Numbers of moves to the archive; one that was rolled back leaves a hole.';
