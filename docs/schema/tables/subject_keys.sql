-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.subject_keys (
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    key_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_by text DEFAULT SESSION_USER NOT NULL,
    wrapped_key bytea NOT NULL,
    CONSTRAINT subject_keys_pkey PRIMARY KEY (key_id),
    CONSTRAINT subject_keys_subject_key UNIQUE (subject),
    CONSTRAINT subject_keys_subject_valid CHECK (eventstream.is_name(subject)),
    CONSTRAINT subject_keys_wrapped_key_size CHECK (octet_length(wrapped_key) >= 1 AND octet_length(wrapped_key) <= 65536)
);

COMMENT ON TABLE eventstream.subject_keys IS 'The key of each subject whose personal fields are stored encrypted, wrapped by a master key that is not in the database. A key leaves through forget_subject() alone, on record in forgotten_subjects.';
COMMENT ON COLUMN eventstream.subject_keys.created_at IS 'When the key was made, by the database''s clock.';
COMMENT ON COLUMN eventstream.subject_keys.key_id IS 'Names the key in what was encrypted with it.';
COMMENT ON COLUMN eventstream.subject_keys.subject IS 'Whose key it is: a pseudonym, such as customer-7, rather than a name or an address.';
COMMENT ON COLUMN eventstream.subject_keys.created_by IS 'The database user who made it.';
COMMENT ON COLUMN eventstream.subject_keys.wrapped_key IS 'The key, as the master key wraps it.';

CREATE TRIGGER subject_keys_frozen BEFORE UPDATE OF created_at, key_id, subject, created_by OR TRUNCATE ON eventstream.subject_keys FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'a key stays its subject''s until that is forgotten', 'Call eventstream.forget_subject(subject, reason).');
COMMENT ON TRIGGER subject_keys_frozen ON eventstream.subject_keys IS 'Nothing but the wrapping of a key changes, and keys do not go all at once.';
CREATE TRIGGER subject_keys_leave AFTER DELETE ON eventstream.subject_keys REFERENCING OLD TABLE AS old_keys FOR EACH STATEMENT EXECUTE FUNCTION eventstream.subject_keys_leave();
COMMENT ON TRIGGER subject_keys_leave ON eventstream.subject_keys IS 'A key leaves on record, or not at all.';

GRANT SELECT ON TABLE eventstream.subject_keys TO eventstream_auditor;
