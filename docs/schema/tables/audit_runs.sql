-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.audit_runs (
    run bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    since_run bigint,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    "position" bigint NOT NULL,
    last_sequence bigint NOT NULL,
    errors bigint NOT NULL,
    warnings bigint NOT NULL,
    run_by text DEFAULT SESSION_USER NOT NULL,
    block bigint,
    seal bytea,
    erasure bigint DEFAULT 0 NOT NULL,
    archiving bigint DEFAULT 0 NOT NULL,
    CONSTRAINT audit_runs_pkey PRIMARY KEY (run)
);

COMMENT ON TABLE eventstream.audit_runs IS 'Audits that were made by run_audit(): what each covered and how much it found. On record for good.';
COMMENT ON COLUMN eventstream.audit_runs.run IS 'Number of the audit.';
COMMENT ON COLUMN eventstream.audit_runs.since_run IS 'The clean audit that it went on from; NULL if it read everything.';
COMMENT ON COLUMN eventstream.audit_runs.started_at IS 'When it began.';
COMMENT ON COLUMN eventstream.audit_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN eventstream.audit_runs."position" IS 'Events up to here are covered: the kept stable position when it began.';
COMMENT ON COLUMN eventstream.audit_runs.last_sequence IS 'How many events there were up to that position.';
COMMENT ON COLUMN eventstream.audit_runs.errors IS 'How much damage it found; 0 if the store was clean.';
COMMENT ON COLUMN eventstream.audit_runs.warnings IS 'How much it found that is no damage.';
COMMENT ON COLUMN eventstream.audit_runs.run_by IS 'The database user who ran it.';
COMMENT ON COLUMN eventstream.audit_runs.block IS 'The newest sealed block when it began; NULL for none.';
COMMENT ON COLUMN eventstream.audit_runs.seal IS 'The seal of that block.';
COMMENT ON COLUMN eventstream.audit_runs.erasure IS 'Erasures up to this number are covered: below it, none can appear any more.';
COMMENT ON COLUMN eventstream.audit_runs.archiving IS 'Moves to the archive up to this number are covered.';

CREATE INDEX audit_runs_clean_idx ON eventstream.audit_runs USING btree (run) WHERE (errors = 0);
COMMENT ON INDEX eventstream.audit_runs_clean_idx IS 'The last clean audit.';

CREATE TRIGGER audit_runs_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.audit_runs FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'what was audited stays on record', 'Run another audit: SELECT * FROM eventstream.run_audit().');
COMMENT ON TRIGGER audit_runs_frozen ON eventstream.audit_runs IS 'The record is only added to.';

GRANT SELECT ON TABLE eventstream.audit_runs TO eventstream_auditor;
