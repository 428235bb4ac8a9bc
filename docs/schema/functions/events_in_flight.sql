-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_in_flight()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.events_in_flight() IS 'Trigger, before INSERT on events: takes the in-flight lock, before any position is drawn.';

GRANT EXECUTE ON FUNCTION eventstream.events_in_flight() TO PUBLIC;
