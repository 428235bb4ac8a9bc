-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_archive_gate()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    SELECT k.* INTO r
    FROM (
        SELECT n.stream_id, n.version, n.event_id,
            (
                SELECT true FROM eventstream.archived_events AS a
                WHERE a.stream_id = n.stream_id AND a.version = n.version
            ) AS has_version,
            (SELECT true FROM eventstream.archived_events AS a WHERE a.event_id = n.event_id) AS has_id
        FROM new_events AS n
    ) AS k
    WHERE k.has_version OR k.has_id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = CASE
                WHEN r.has_version THEN format('version %s of stream %L exists already', r.version, r.stream_id)
                ELSE format('event %s exists already', r.event_id)
            END,
            SCHEMA = 'eventstream', TABLE = 'events',
            CONSTRAINT = CASE WHEN r.has_version THEN 'events_pkey' ELSE 'events_event_id_key' END;
    END IF;
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        PERFORM eventstream.refuse_unseen_archive();
    END IF;
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_archive_gate() IS 'Trigger, after INSERT on events, once the archive is attached: refuses a version or an event id that is archived (23505), and a snapshot that cannot see what is (40001).';

REVOKE ALL ON FUNCTION eventstream.events_archive_gate() FROM PUBLIC;
