-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.forget_subject(p_subject text, p_reason text, p_by text DEFAULT NULL::text)
 RETURNS TABLE(key_id uuid, subject text, forgotten_at timestamp with time zone, forgotten_by text, reason text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.forget_subject(text,text,text) IS 'Deletes the key of a subject, on record: what was encrypted with it cannot be read any more. A subject without a key is forgotten, too, so that it gets none. Of one that was forgotten before, the record of that.';

REVOKE ALL ON FUNCTION eventstream.forget_subject(text,text,text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.forget_subject(text,text,text) TO eventstream_eraser;
