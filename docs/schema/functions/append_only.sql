-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_only()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
BEGIN
    PERFORM eventstream.refuse(
        'ES004',
        format('%s on eventstream.%s refused: history is append-only', TG_OP, TG_TABLE_NAME),
        jsonb_build_object('table', 'eventstream.' || TG_TABLE_NAME, 'operation', TG_OP),
        CASE TG_TABLE_NAME
            WHEN 'streams' THEN 'Heads follow their events: append with eventstream.append or INSERT INTO eventstream.events.'
            WHEN 'events' THEN 'Append a new event that corrects the old one.'
            ELSE 'Use eventstream.ingest and eventstream.advance_watermark.'
        END);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.append_only() IS 'Trigger: refuses the operation (ES004).';

GRANT EXECUTE ON FUNCTION eventstream.append_only() TO PUBLIC;
