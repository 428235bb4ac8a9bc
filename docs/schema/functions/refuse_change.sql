-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        TG_ARGV[0],
        format('%s on eventstream.%s refused: %s', TG_OP, TG_TABLE_NAME, TG_ARGV[1]),
        jsonb_build_object('table', 'eventstream.' || TG_TABLE_NAME, 'operation', TG_OP),
        TG_ARGV[2]);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_change() IS 'Trigger: refuses the operation. Arguments: SQLSTATE, reason, hint.';

REVOKE ALL ON FUNCTION eventstream.refuse_change() FROM PUBLIC;
