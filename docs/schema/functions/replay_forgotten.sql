-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.replay_forgotten(p_key_ids uuid[], p_subjects text[], p_forgotten_at timestamp with time zone[], p_forgotten_by text[], p_reasons text[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.replay_forgotten(uuid[],text[],timestamp with time zone[],text[],text[]) IS 'Forgets again what was forgotten after a backup was made, from a record that was kept elsewhere; how many keys that deleted. May be repeated.';

REVOKE ALL ON FUNCTION eventstream.replay_forgotten(uuid[],text[],timestamp with time zone[],text[],text[]) FROM PUBLIC;
