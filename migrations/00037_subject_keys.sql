-- +goose Up
-- Keys of subjects (package eventstream/shred): personal fields of events are stored encrypted, under a key for each
-- person or other subject. Deleting the key makes them unreadable, in every copy of the events. A key is stored wrapped
-- by a master key that the database never sees, and what was forgotten stays on record, so that it can be forgotten again
-- after the restore of an older backup.
-- Locks: none at install. At run time an advisory lock on the subject, for who creates its key or forgets it.
-- +goose StatementBegin

CREATE TABLE eventstream.subject_keys (
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    key_id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    created_by text NOT NULL DEFAULT session_user,
    wrapped_key bytea NOT NULL,
    CONSTRAINT subject_keys_pkey PRIMARY KEY (key_id),
    -- Two writers who meet a new subject at the same time use one key.
    CONSTRAINT subject_keys_subject_key UNIQUE (subject),
    -- The rule for stream ids: 1 to 128 bytes, no control characters, no white space at either end.
    CONSTRAINT subject_keys_subject_valid CHECK (eventstream.is_name(subject)),
    -- What a key service returns for 32 bytes is larger than they are, and not by much.
    CONSTRAINT subject_keys_wrapped_key_size CHECK (octet_length(wrapped_key) BETWEEN 1 AND 65536)
);

COMMENT ON TABLE eventstream.subject_keys IS
    'The key of each subject whose personal fields are stored encrypted, wrapped by a master key that is not in the '
    'database. A key leaves through forget_subject() alone, on record in forgotten_subjects.';
COMMENT ON COLUMN eventstream.subject_keys.created_at IS 'When the key was made, by the database''s clock.';
COMMENT ON COLUMN eventstream.subject_keys.key_id IS 'Names the key in what was encrypted with it.';
COMMENT ON COLUMN eventstream.subject_keys.subject IS
    'Whose key it is: a pseudonym, such as customer-7, rather than a name or an address.';
COMMENT ON COLUMN eventstream.subject_keys.created_by IS 'The database user who made it.';
COMMENT ON COLUMN eventstream.subject_keys.wrapped_key IS 'The key, as the master key wraps it.';

CREATE TABLE eventstream.forgotten_subjects (
    forgotten_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    key_id uuid NOT NULL DEFAULT eventstream.uuid_v7(),
    subject text COLLATE "C" NOT NULL,
    forgotten_by text NOT NULL,
    recorded_by text NOT NULL DEFAULT session_user,
    reason text NOT NULL,
    CONSTRAINT forgotten_subjects_pkey PRIMARY KEY (key_id),
    CONSTRAINT forgotten_subjects_subject_valid CHECK (eventstream.is_name(subject)),
    -- Whoever forgets a subject is named, and says why.
    CONSTRAINT forgotten_subjects_forgotten_by_given CHECK (forgotten_by ~ '[^[:space:]]'),
    CONSTRAINT forgotten_subjects_reason_given CHECK (reason ~ '[^[:space:]]')
);

CREATE INDEX forgotten_subjects_subject_idx ON eventstream.forgotten_subjects (subject, forgotten_at);

COMMENT ON TABLE eventstream.forgotten_subjects IS
    'Subjects that were forgotten: whose key was deleted, when, by whom and why. On record for good, and to be kept '
    'outside of this database as well: after the restore of a backup replay_forgotten() applies it again.';
COMMENT ON COLUMN eventstream.forgotten_subjects.forgotten_at IS 'When it was forgotten.';
COMMENT ON COLUMN eventstream.forgotten_subjects.recorded_at IS
    'When this database recorded it: later than forgotten_at where it was replayed.';
COMMENT ON COLUMN eventstream.forgotten_subjects.key_id IS
    'The key that was deleted; one that never was if the subject had none.';
COMMENT ON COLUMN eventstream.forgotten_subjects.subject IS 'The subject.';
COMMENT ON COLUMN eventstream.forgotten_subjects.forgotten_by IS 'Who decided it, as the caller says; else the user.';
COMMENT ON COLUMN eventstream.forgotten_subjects.recorded_by IS 'The database user who recorded it.';
COMMENT ON COLUMN eventstream.forgotten_subjects.reason IS 'Why it was forgotten.';
COMMENT ON INDEX eventstream.forgotten_subjects_subject_idx IS 'Whether, and when, a subject was forgotten.';

CREATE TRIGGER forgotten_subjects_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.forgotten_subjects
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'what was forgotten stays on record', 'Let the subject have a new key, if it is back.');

COMMENT ON TRIGGER forgotten_subjects_frozen ON eventstream.forgotten_subjects IS 'The record is only added to.';

CREATE TRIGGER subject_keys_frozen
    BEFORE UPDATE OF created_at, key_id, subject, created_by OR TRUNCATE ON eventstream.subject_keys
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'a key stays its subject''s until that is forgotten', 'Call eventstream.forget_subject(subject, reason).');

COMMENT ON TRIGGER subject_keys_frozen ON eventstream.subject_keys IS
    'Nothing but the wrapping of a key changes, and keys do not go all at once.';

-- A key that is deleted without a record looks like one that was lost. The rule looks at the record rather than at who
-- asks.
CREATE FUNCTION eventstream.subject_keys_leave() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.subject_keys'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.subject_keys');
    END IF;
    SELECT o.subject, o.key_id INTO r
    FROM old_keys AS o
    WHERE NOT EXISTS (SELECT FROM eventstream.forgotten_subjects AS f WHERE f.key_id = o.key_id)
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES004',
            format('DELETE on eventstream.subject_keys refused: the key of %L would go without a record', r.subject),
            jsonb_build_object('table', 'eventstream.subject_keys', 'operation', 'DELETE', 'subject', r.subject, 'key_id', r.key_id),
            'Call eventstream.forget_subject(subject, reason).');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.subject_keys_leave IS
    'Trigger, after DELETE on subject_keys: what leaves must be on record in forgotten_subjects (ES004).';

CREATE TRIGGER subject_keys_leave
    AFTER DELETE ON eventstream.subject_keys
    REFERENCING OLD TABLE AS old_keys
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.subject_keys_leave();

COMMENT ON TRIGGER subject_keys_leave ON eventstream.subject_keys IS 'A key leaves on record, or not at all.';

CREATE FUNCTION eventstream.lock_subject(p_subject text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.check_name('subject', p_subject);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        -- What another transaction did while this one waited would not be seen: a key after it was forgotten.
        PERFORM eventstream.refuse_value('transaction_isolation', current_setting('transaction_isolation'), 'read committed');
    END IF;
    -- Who creates a key and who forgets the subject take turns. The statement after this one sees what it waited for. In
    -- the two-key form it does not look like a position that is held.
    PERFORM pg_advisory_xact_lock(1163096939, eventstream.stream_key(p_subject));
END;
$$;

COMMENT ON FUNCTION eventstream.lock_subject IS
    'Waits for its turn with the key of a subject, until the end of the transaction. ES008 for what cannot be one.';

CREATE FUNCTION eventstream.create_subject_key(
    p_subject text,
    p_key_id uuid,
    p_wrapped_key bytea,
    p_again boolean DEFAULT false
) RETURNS TABLE (key_id uuid, wrapped_key bytea)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_forgotten_at timestamptz;
BEGIN
    PERFORM eventstream.lock_subject(p_subject);
    -- A key that was forgotten, and came back with the restore of the table, is used for nothing.
    DELETE FROM eventstream.subject_keys AS k
    USING eventstream.forgotten_subjects AS f
    WHERE k.subject = p_subject AND f.key_id = k.key_id;
    RETURN QUERY SELECT k.key_id, k.wrapped_key FROM eventstream.subject_keys AS k WHERE k.subject = p_subject;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT max(f.forgotten_at) INTO v_forgotten_at FROM eventstream.forgotten_subjects AS f WHERE f.subject = p_subject;
    IF v_forgotten_at IS NOT NULL AND p_again IS NOT TRUE THEN
        PERFORM eventstream.refuse(
            'ES020',
            format('subject %L was forgotten', p_subject),
            jsonb_build_object('subject', p_subject, 'forgotten_at', v_forgotten_at),
            'Write nothing about it any more; or say that it is back, and let it have a new key.');
    ELSIF EXISTS (SELECT FROM eventstream.forgotten_subjects AS f WHERE f.key_id = p_key_id) THEN
        PERFORM eventstream.refuse_value('key_id', p_key_id::text, 'a new one: this one was forgotten');
    END IF;
    INSERT INTO eventstream.subject_keys (key_id, subject, wrapped_key) VALUES (p_key_id, p_subject, p_wrapped_key);
    RETURN QUERY SELECT p_key_id, p_wrapped_key;
END;
$$;

COMMENT ON FUNCTION eventstream.create_subject_key IS
    'The key of a subject: the one that it has, else the one that is given. ES020 if it was forgotten, unless p_again '
    'says that it may have a new key.';

CREATE FUNCTION eventstream.forget_subject(p_subject text, p_reason text, p_by text DEFAULT NULL)
RETURNS TABLE (
    key_id uuid,
    subject text,
    forgotten_at timestamptz,
    forgotten_by text,
    reason text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    v_key_id uuid;
BEGIN
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'given: it stays on record');
    ELSIF (p_by ~ '[^[:space:]]') IS FALSE THEN
        PERFORM eventstream.refuse_value('by', p_by, 'somebody, or NULL for the database user');
    END IF;
    PERFORM eventstream.lock_subject(p_subject);
    SELECT k.key_id INTO v_key_id FROM eventstream.subject_keys AS k WHERE k.subject = p_subject;
    IF NOT FOUND THEN
        RETURN QUERY
        SELECT f.key_id, f.subject, f.forgotten_at, f.forgotten_by, f.reason
        FROM eventstream.forgotten_subjects AS f
        WHERE f.subject = p_subject
        ORDER BY f.forgotten_at DESC
        LIMIT 1;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    INSERT INTO eventstream.forgotten_subjects AS f (key_id, subject, forgotten_by, reason)
    VALUES (coalesce(v_key_id, eventstream.uuid_v7()), p_subject, coalesce(p_by, session_user), p_reason)
    RETURNING f.key_id, f.subject, f.forgotten_at, f.forgotten_by, f.reason;
    DELETE FROM eventstream.subject_keys AS k WHERE k.key_id = v_key_id;
END;
$$;

COMMENT ON FUNCTION eventstream.forget_subject IS
    'Deletes the key of a subject, on record: what was encrypted with it cannot be read any more. A subject without a '
    'key is forgotten, too, so that it gets none. Of one that was forgotten before, the record of that.';

-- By the keys that were forgotten, and not by subject: a subject that is back has a key of its own.
CREATE FUNCTION eventstream.replay_forgotten(
    p_key_ids uuid[],
    p_subjects text[],
    p_forgotten_at timestamptz[],
    p_forgotten_by text[],
    p_reasons text[]
) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_deleted bigint;
    r record;
BEGIN
    FOR r IN
        SELECT DISTINCT i.subject FROM unnest(p_subjects) AS i (subject) ORDER BY i.subject
    LOOP
        PERFORM eventstream.lock_subject(r.subject);
    END LOOP;
    INSERT INTO eventstream.forgotten_subjects (key_id, subject, forgotten_at, forgotten_by, reason)
    SELECT i.key_id, i.subject, i.forgotten_at, i.forgotten_by, i.reason
    FROM unnest(p_key_ids, p_subjects, p_forgotten_at, p_forgotten_by, p_reasons) AS i (key_id, subject, forgotten_at, forgotten_by, reason)
    -- What this database has on record already is what it says.
    ON CONFLICT ON CONSTRAINT forgotten_subjects_pkey DO NOTHING;
    DELETE FROM eventstream.subject_keys AS k WHERE k.key_id = ANY (p_key_ids);
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    RETURN v_deleted;
END;
$$;

COMMENT ON FUNCTION eventstream.replay_forgotten IS
    'Forgets again what was forgotten after a backup was made, from a record that was kept elsewhere; how many keys '
    'that deleted. May be repeated.';

CREATE FUNCTION eventstream.rewrap_subject_key(p_key_id uuid, p_old bytea, p_new bytea) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE eventstream.subject_keys AS k SET wrapped_key = p_new WHERE k.key_id = p_key_id AND k.wrapped_key = p_old;
    RETURN FOUND;
END;
$$;

COMMENT ON FUNCTION eventstream.rewrap_subject_key IS
    'Replaces the wrapping of a key by that of a new master key; false if the key is gone, or wrapped anew already.';

CREATE VIEW eventstream.audit_subject_keys AS
SELECT k.key_id, k.subject, f.forgotten_at, 'key of a forgotten subject is back' AS problem
FROM eventstream.subject_keys AS k
JOIN eventstream.forgotten_subjects AS f ON f.key_id = k.key_id;

COMMENT ON VIEW eventstream.audit_subject_keys IS
    'Keys that were forgotten and are there again, as after the restore of a table. Empty when nothing is wrong.';

REVOKE EXECUTE ON FUNCTION
    eventstream.subject_keys_leave, eventstream.lock_subject, eventstream.create_subject_key,
    eventstream.forget_subject, eventstream.replay_forgotten, eventstream.rewrap_subject_key
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP VIEW eventstream.audit_subject_keys;
DROP FUNCTION
    eventstream.rewrap_subject_key, eventstream.replay_forgotten, eventstream.forget_subject,
    eventstream.create_subject_key, eventstream.lock_subject;
DROP TABLE eventstream.subject_keys;
DROP FUNCTION eventstream.subject_keys_leave;
DROP TABLE eventstream.forgotten_subjects;
