-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.subject_keys_leave()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.subject_keys_leave() IS 'Trigger, after DELETE on subject_keys: what leaves must be on record in forgotten_subjects (ES004).';

REVOKE ALL ON FUNCTION eventstream.subject_keys_leave() FROM PUBLIC;
