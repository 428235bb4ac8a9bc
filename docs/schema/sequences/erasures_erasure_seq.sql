-- Written by "make generate" from migrations/; not edited by hand.

CREATE SEQUENCE eventstream.erasures_erasure_seq AS bigint INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 START 1 CACHE 1 OWNED BY eventstream.erasures.erasure;

COMMENT ON SEQUENCE eventstream.erasures_erasure_seq IS 'Numbers of erasures; one that was rolled back leaves a hole.';
