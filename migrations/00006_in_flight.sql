-- +goose Up
-- Which positions can still appear: the lock that a writer holds from before it draws a position until its transaction ends.
-- Locks: SHARE ROW EXCLUSIVE on events for the moment of CREATE TRIGGER.

-- A position is drawn before its transaction commits, so a reader of the log must know which numbers can still appear. A writer says
-- so with a shared lock whose key is the sequence's last value before it draws: all of its positions are above the key. The lock
-- falls with the transaction, whatever its end. The high 16 bits ('ES') keep the key apart from the advisory locks of others; the low
-- 48 hold the number, without the node part of a distributed install.
CREATE FUNCTION eventstream.in_flight_key(p_position bigint) RETURNS bigint
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS 'SELECT 4995336411684012032 | (p_position & 281474976710655)';

COMMENT ON FUNCTION eventstream.in_flight_key(bigint) IS
    'Key of the advisory lock that a writer holds while its positions, all above p_position, are not committed yet.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.events_in_flight() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = ''
AS $$
DECLARE
    -- Read first, lock second, draw third: a lock taken after the draw would come too late for a reader in between.
    v_last bigint := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    v_key bigint := nullif(split_part(current_setting('eventstream.in_flight', true), ' ', 1), '')::bigint;
    v_ignored text;
BEGIN
    -- One lock a transaction: the first key covers every later draw, and taking it again is free. A remembered key that cannot be
    -- is not believed: a higher one would uncover this transaction's positions.
    IF v_key IS NULL OR v_key NOT BETWEEN 0 AND v_last THEN
        v_key := v_last;
    END IF;
    -- Nobody takes it exclusively, so trying succeeds; assignments, here and below, since plpgsql evaluates them without the executor
    -- that PERFORM starts.
    IF NOT pg_try_advisory_xact_lock_shared(eventstream.in_flight_key(v_key)) THEN
        PERFORM pg_advisory_xact_lock_shared(eventstream.in_flight_key(v_key));
    END IF;
    -- Local to the transaction, and rolled back with a savepoint exactly as the lock is.
    v_ignored := set_config('eventstream.in_flight', v_key || ' ' || v_last, true);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.events_in_flight() IS
    'Trigger, before INSERT on events: takes the in-flight lock, before any position is drawn.';

CREATE TRIGGER events_in_flight
    BEFORE INSERT ON eventstream.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_in_flight();

COMMENT ON TRIGGER events_in_flight ON eventstream.events IS 'Marks positions that are not committed yet.';

-- +goose Down
DROP TRIGGER events_in_flight ON eventstream.events;
DROP FUNCTION eventstream.events_in_flight();
DROP FUNCTION eventstream.in_flight_key(bigint);
