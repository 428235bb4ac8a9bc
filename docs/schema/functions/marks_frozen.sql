-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.marks_frozen()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES004',
        format('%s on eventstream.%s refused: sequence numbers never change', TG_OP, TG_TABLE_NAME),
        jsonb_build_object('table', 'eventstream.' || TG_TABLE_NAME, 'operation', TG_OP),
        'Leave marks alone: eventstream.advance_stable_position() and eventstream.keep_sequences() write them.');
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.marks_frozen() IS 'Trigger: refuses to change or remove marks (ES004).';

GRANT EXECUTE ON FUNCTION eventstream.marks_frozen() TO PUBLIC;
