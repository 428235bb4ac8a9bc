-- +goose Up
-- History is append-only: no UPDATE, DELETE or TRUNCATE of events, of what waits, or of heads, by anyone, the owner included.
-- Locks: SHARE ROW EXCLUSIVE on the three tables for the moment of CREATE TRIGGER.
--
-- How Gapless' own writes get through: the gate writes from inside a trigger (pg_trigger_depth() > 0) and says so in the
-- transaction-local setting eventstream.gate ('move'), so that neither a trigger of somebody else nor the setting alone moves a head. Two
-- functions write from outside a trigger: append_batch creates an empty head to hold a new stream's row ('create'), and advance_watermark
-- takes what no longer waits ('advance'). All that a forger of these gains is an empty head or an event that no longer waits, and audit()
-- shows both.

-- +goose StatementBegin
CREATE FUNCTION eventstream.append_only() RETURNS trigger
LANGUAGE plpgsql
SET search_path = ''
AS $$
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
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.append_only() IS 'Trigger: refuses the operation (ES004).';

CREATE TRIGGER events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only();

CREATE TRIGGER pending_events_append_only
    BEFORE UPDATE OR TRUNCATE ON eventstream.pending_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only();

CREATE TRIGGER pending_events_delete
    BEFORE DELETE ON eventstream.pending_events
    FOR EACH STATEMENT
    WHEN (current_setting('eventstream.gate', true) IS DISTINCT FROM 'advance')
    EXECUTE FUNCTION eventstream.append_only();

-- Rows, not statements: append_batch locks heads by an INSERT ... ON CONFLICT DO UPDATE that updates none.
CREATE TRIGGER streams_insert
    BEFORE INSERT ON eventstream.streams
    FOR EACH ROW
    WHEN (NOT (pg_trigger_depth() > 0 AND current_setting('eventstream.gate', true) = 'move') IS TRUE AND (
        NEW.current_version <> 0 OR NEW.watermark <> 0 OR NEW.last_position <> 0
        OR current_setting('eventstream.gate', true) IS DISTINCT FROM 'create'))
    EXECUTE FUNCTION eventstream.append_only();

CREATE TRIGGER streams_update
    BEFORE UPDATE ON eventstream.streams
    FOR EACH ROW
    WHEN (pg_trigger_depth() = 0 OR current_setting('eventstream.gate', true) IS DISTINCT FROM 'move')
    EXECUTE FUNCTION eventstream.append_only();

CREATE TRIGGER streams_delete
    BEFORE DELETE ON eventstream.streams
    FOR EACH ROW
    WHEN (OLD.current_version <> 0 OR current_setting('eventstream.gate', true) IS DISTINCT FROM 'create')
    EXECUTE FUNCTION eventstream.append_only();

CREATE TRIGGER streams_truncate
    BEFORE TRUNCATE ON eventstream.streams
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.append_only();

COMMENT ON TRIGGER events_append_only ON eventstream.events IS 'Events are never changed or removed.';
COMMENT ON TRIGGER pending_events_append_only ON eventstream.pending_events IS 'What waits is never changed.';
COMMENT ON TRIGGER pending_events_delete ON eventstream.pending_events IS 'What waits leaves by advance_watermark alone.';
COMMENT ON TRIGGER streams_insert ON eventstream.streams IS 'Heads are created by the gate alone.';
COMMENT ON TRIGGER streams_update ON eventstream.streams IS 'Heads are moved by the gate alone.';
COMMENT ON TRIGGER streams_delete ON eventstream.streams IS 'Heads are never removed, but for an empty one whose append was refused.';
COMMENT ON TRIGGER streams_truncate ON eventstream.streams IS 'Heads are never removed.';

-- +goose Down
DROP TRIGGER streams_truncate ON eventstream.streams;
DROP TRIGGER streams_delete ON eventstream.streams;
DROP TRIGGER streams_update ON eventstream.streams;
DROP TRIGGER streams_insert ON eventstream.streams;
DROP TRIGGER pending_events_delete ON eventstream.pending_events;
DROP TRIGGER pending_events_append_only ON eventstream.pending_events;
DROP TRIGGER events_append_only ON eventstream.events;
DROP FUNCTION eventstream.append_only();
