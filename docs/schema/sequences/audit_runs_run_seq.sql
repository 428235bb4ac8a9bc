-- Written by "make generate" from migrations/; not edited by hand.

CREATE SEQUENCE eventstream.audit_runs_run_seq AS bigint INCREMENT 1 MINVALUE 1 MAXVALUE 9223372036854775807 START 1 CACHE 1 OWNED BY eventstream.audit_runs.run;

COMMENT ON SEQUENCE eventstream.audit_runs_run_seq IS 'Numbers of audits; one that was rolled back leaves a hole.';
