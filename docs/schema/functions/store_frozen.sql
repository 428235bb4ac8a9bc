-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.store_frozen()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES009',
        format('%s on eventstream.store refused: the store''s identity and partition count are chosen at install', TG_OP),
        jsonb_build_object('table', 'eventstream.store', 'operation', TG_OP),
        'For another partition count, install a new store and copy the events into it.');
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.store_frozen() IS 'Trigger: refuses every change of the store row (ES009).';

GRANT EXECUTE ON FUNCTION eventstream.store_frozen() TO PUBLIC;
