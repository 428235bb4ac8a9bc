-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.attach_archive()
 RETURNS boolean
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = 'eventstream.archived_events'::regclass) THEN
        RETURN false;
    END IF;
    LOCK TABLE eventstream.events IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = 'eventstream.archived_events'::regclass) THEN
        RETURN false;
    END IF;
    ALTER TABLE eventstream.archived_events INHERIT eventstream.events;
    CREATE TRIGGER events_archive_gate
        AFTER INSERT ON eventstream.events
        REFERENCING NEW TABLE AS new_events
        FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_archive_gate();
    COMMENT ON TRIGGER events_archive_gate ON eventstream.events IS 'What was archived is taken.';
    -- On record, as all that holds the rules: these two, and nothing that somebody else may have changed.
    INSERT INTO eventstream.schema_record (kind, name, digest)
    SELECT o.kind, o.name, sha256(convert_to(o.definition, 'UTF8'))
    FROM eventstream.schema_objects AS o
    WHERE (o.kind, o.name) IN (('table', 'events'), ('trigger', 'events.events_archive_gate'));
    RETURN true;
END;
$function$;

COMMENT ON FUNCTION eventstream.attach_archive() IS 'Makes archived_events a part of events for all readers; returns whether it was not yet. archive() does it the first time. Locks events until the transaction ends: call it ahead, in a transaction of its own, at a quiet time.';

REVOKE ALL ON FUNCTION eventstream.attach_archive() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.attach_archive() TO eventstream_eraser;
