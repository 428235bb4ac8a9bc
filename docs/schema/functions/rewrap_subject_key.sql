-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.rewrap_subject_key(p_key_id uuid, p_old bytea, p_new bytea)
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    UPDATE eventstream.subject_keys AS k SET wrapped_key = p_new WHERE k.key_id = p_key_id AND k.wrapped_key = p_old;
    RETURN FOUND;
END;
$function$;

COMMENT ON FUNCTION eventstream.rewrap_subject_key(uuid,bytea,bytea) IS 'Replaces the wrapping of a key by that of a new master key; false if the key is gone, or wrapped anew already.';

REVOKE ALL ON FUNCTION eventstream.rewrap_subject_key(uuid,bytea,bytea) FROM PUBLIC;
