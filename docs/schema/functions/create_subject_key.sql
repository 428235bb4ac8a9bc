-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.create_subject_key(p_subject text, p_key_id uuid, p_wrapped_key bytea, p_again boolean DEFAULT false)
 RETURNS TABLE(key_id uuid, wrapped_key bytea)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.create_subject_key(text,uuid,bytea,boolean) IS 'The key of a subject: the one that it has, else the one that is given. ES020 if it was forgotten, unless p_again says that it may have a new key.';

REVOKE ALL ON FUNCTION eventstream.create_subject_key(text,uuid,bytea,boolean) FROM PUBLIC;
