-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_to_drop_events()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF current_setting('eventstream.drop_events', true) IS DISTINCT FROM 'on'
        AND (EXISTS (SELECT FROM eventstream.events) OR EXISTS (SELECT FROM eventstream.pending_events))
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'migrating down refused: the store holds events, which going back would drop',
            jsonb_build_object('setting', 'eventstream.drop_events', 'value', current_setting('eventstream.drop_events', true)),
            'Leave the store as it is; or, if its events may be lost, SET eventstream.drop_events = on in the session that '
            'migrates, which is Options.DropEvents in Go.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_to_drop_events() IS 'Raises ES004 if the store holds events, unless the setting eventstream.drop_events is on. For migrations.';

REVOKE ALL ON FUNCTION eventstream.refuse_to_drop_events() FROM PUBLIC;
