-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.forgotten_subjects (
    forgotten_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    key_id uuid DEFAULT eventstream.uuid_v7() NOT NULL,
    subject text COLLATE "C" NOT NULL,
    forgotten_by text NOT NULL,
    recorded_by text DEFAULT SESSION_USER NOT NULL,
    reason text NOT NULL,
    CONSTRAINT forgotten_subjects_forgotten_by_given CHECK (forgotten_by ~ '[^[:space:]]'::text),
    CONSTRAINT forgotten_subjects_pkey PRIMARY KEY (key_id),
    CONSTRAINT forgotten_subjects_reason_given CHECK (reason ~ '[^[:space:]]'::text),
    CONSTRAINT forgotten_subjects_subject_valid CHECK (eventstream.is_name(subject))
);

COMMENT ON TABLE eventstream.forgotten_subjects IS 'Subjects that were forgotten: whose key was deleted, when, by whom and why. On record for good, and to be kept outside of this database as well: after the restore of a backup replay_forgotten() applies it again.';
COMMENT ON COLUMN eventstream.forgotten_subjects.forgotten_at IS 'When it was forgotten.';
COMMENT ON COLUMN eventstream.forgotten_subjects.recorded_at IS 'When this database recorded it: later than forgotten_at where it was replayed.';
COMMENT ON COLUMN eventstream.forgotten_subjects.key_id IS 'The key that was deleted; one that never was if the subject had none.';
COMMENT ON COLUMN eventstream.forgotten_subjects.subject IS 'The subject.';
COMMENT ON COLUMN eventstream.forgotten_subjects.forgotten_by IS 'Who decided it, as the caller says; else the user.';
COMMENT ON COLUMN eventstream.forgotten_subjects.recorded_by IS 'The database user who recorded it.';
COMMENT ON COLUMN eventstream.forgotten_subjects.reason IS 'Why it was forgotten.';

CREATE INDEX forgotten_subjects_subject_idx ON eventstream.forgotten_subjects USING btree (subject, forgotten_at);
COMMENT ON INDEX eventstream.forgotten_subjects_subject_idx IS 'Whether, and when, a subject was forgotten.';

CREATE TRIGGER forgotten_subjects_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.forgotten_subjects FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'what was forgotten stays on record', 'Let the subject have a new key, if it is back.');
COMMENT ON TRIGGER forgotten_subjects_frozen ON eventstream.forgotten_subjects IS 'The record is only added to.';

GRANT SELECT ON TABLE eventstream.forgotten_subjects TO eventstream_auditor;
