-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.hold_tags(p_types text[], p_tags jsonb[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.lock_tags(NULL, eventstream.tag_keys(p_types, p_tags));
END;
$function$;

COMMENT ON FUNCTION eventstream.hold_tags(text[],jsonb[]) IS 'Keeps decisions on these tags and types waiting until the transaction ends; other writers of them do not wait.';

REVOKE ALL ON FUNCTION eventstream.hold_tags(text[],jsonb[]) FROM PUBLIC;
