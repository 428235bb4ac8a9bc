-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.events_in_flight()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    -- Read first, lock second, draw third: a lock taken after the draw would come too late for a reader in between.
    v_last bigint := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    -- The key of this transaction, the sequence's value before the statement, and how many statements there were. Local
    -- to the transaction, and rolled back with a savepoint exactly as the lock is.
    v_state text := nullif(current_setting('eventstream.in_flight', true), '');
    v_key bigint := v_last;
    v_statements integer := 1;
    v_ignored text;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    -- One lock a transaction: the first key covers every later draw, and taking it again is free. A remembered key that
    -- cannot be is not believed: a higher one would uncover this transaction's positions.
    IF v_state IS NOT NULL THEN
        v_statements := split_part(v_state, ' ', 3)::integer + 1;
        v_key := split_part(v_state, ' ', 1)::bigint;
        IF v_key NOT BETWEEN 0 AND v_last THEN
            v_key := v_last;
        END IF;
    END IF;
    -- In a subtransaction, whose end hands the lock to the transaction. Taken in a cursor's statement, it would be the
    -- cursor's, and fall when a later FETCH fails within a savepoint, while the rows of the first one stay.
    BEGIN
        -- Nobody takes it exclusively, but for a stranger who wants to disturb: a lower key covers as much, and after
        -- some tries we wait.
        WHILE NOT pg_try_advisory_xact_lock_shared(eventstream.in_flight_key(v_key)) LOOP
            IF v_key = 0 OR v_key <= v_last - 8 THEN
                v_ignored := pg_advisory_xact_lock_shared(eventstream.in_flight_key(v_key));
                EXIT;
            END IF;
            v_key := v_key - 1;
        END LOOP;
    EXCEPTION WHEN no_data_found THEN
        RAISE;
    END;
    v_ignored := set_config('eventstream.in_flight', v_key || ' ' || v_last || ' ' || v_statements, true);
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.events_in_flight() IS 'Trigger, before INSERT on events: takes the in-flight lock, before any position is drawn.';

REVOKE ALL ON FUNCTION eventstream.events_in_flight() FROM PUBLIC;
