-- +goose Up
-- History is append-only: no UPDATE, DELETE or TRUNCATE of events, of what waits, or of what was discarded, by anyone,
-- the owner included. The one UPDATE that there is, that of eventstream.erase(), has a guard of its own in
-- 00035_erasure.sql; the one DELETE, that of eventstream.archive(), in 00041_archive.sql.
-- Locks: SHARE ROW EXCLUSIVE on the tables for the moment of CREATE TRIGGER.
--
-- TRUNCATE has triggers of its own: a distributed install makes no trigger on a shard that combines it with the others.
-- +goose StatementBegin

CREATE TRIGGER events_no_truncate
    BEFORE TRUNCATE ON eventstream.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'Append a new event that corrects the old one.');

CREATE TRIGGER pending_events_append_only
    BEFORE UPDATE ON eventstream.pending_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'Use eventstream.ingest, advance_watermark and discard_pending.');

CREATE TRIGGER pending_events_no_truncate
    BEFORE TRUNCATE ON eventstream.pending_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'Use eventstream.ingest, advance_watermark and discard_pending.');

CREATE TRIGGER discarded_events_append_only
    BEFORE DELETE ON eventstream.discarded_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'What was discarded stays on record.');

CREATE TRIGGER discarded_events_no_truncate
    BEFORE TRUNCATE ON eventstream.discarded_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'What was discarded stays on record.');

-- What waits leaves in two ways, each in the statement that puts it elsewhere. The rule looks at where it went rather
-- than at who asks.
CREATE FUNCTION eventstream.pending_events_leave() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.pending_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.pending_events');
    END IF;
    SELECT o.stream_id, o.version, o.event_id INTO r
    FROM old_events AS o
    WHERE (
            SELECT true FROM eventstream.events AS e
            WHERE e.stream_id = o.stream_id AND e.version = o.version AND e.event_id = o.event_id
        ) IS NULL
        AND (
            SELECT true FROM eventstream.discarded_events AS d
            WHERE d.stream_id = o.stream_id AND d.version = o.version AND d.event_id = o.event_id
            LIMIT 1
        ) IS NULL
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES004',
            format('DELETE on eventstream.pending_events refused: version %s of stream %L is neither in events nor discarded',
                r.version, r.stream_id),
            jsonb_build_object('table', 'eventstream.pending_events', 'operation', 'DELETE', 'stream_id', r.stream_id,
                'version', r.version, 'event_id', r.event_id),
            'Use eventstream.advance_watermark, or eventstream.discard_pending for a hole that nothing will fill.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.pending_events_leave IS
    'Trigger, after DELETE on pending_events: what leaves must be in events by now, or on record in discarded_events '
    '(ES004).';

-- A trigger function runs with the rights of its owner. On another table, the types of that table's columns would bring
-- code of whoever made them. Nobody but the owner may use these functions, and they look where they run before anything
-- else.
CREATE FUNCTION eventstream.refuse_borrowed(p_table text, p_own text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES009',
        format('a trigger function of %s runs on table %s', p_own, p_table),
        jsonb_build_object('table', p_table, 'own_table', p_own),
        'Drop the trigger: these functions serve one table.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_borrowed IS
    'Raises ES009: a trigger function is used on another table. Never returns.';

CREATE TRIGGER pending_events_leave
    AFTER DELETE ON eventstream.pending_events
    REFERENCING OLD TABLE AS old_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_leave();

COMMENT ON TRIGGER events_no_truncate ON eventstream.events IS 'Events are never removed.';
COMMENT ON TRIGGER pending_events_append_only ON eventstream.pending_events IS 'What waits is never changed.';
COMMENT ON TRIGGER pending_events_no_truncate ON eventstream.pending_events IS 'What waits is never dropped.';
COMMENT ON TRIGGER pending_events_leave ON eventstream.pending_events IS 'What waits leaves into events, or on record.';
COMMENT ON TRIGGER discarded_events_append_only ON eventstream.discarded_events IS
    'What was discarded stays on record.';
COMMENT ON TRIGGER discarded_events_no_truncate ON eventstream.discarded_events IS
    'What was discarded stays on record.';

REVOKE EXECUTE ON FUNCTION eventstream.pending_events_leave, eventstream.refuse_borrowed FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER pending_events_leave ON eventstream.pending_events;
DROP TRIGGER discarded_events_no_truncate ON eventstream.discarded_events;
DROP TRIGGER discarded_events_append_only ON eventstream.discarded_events;
DROP TRIGGER pending_events_no_truncate ON eventstream.pending_events;
DROP TRIGGER pending_events_append_only ON eventstream.pending_events;
DROP TRIGGER events_no_truncate ON eventstream.events;
DROP FUNCTION eventstream.refuse_borrowed, eventstream.pending_events_leave;
