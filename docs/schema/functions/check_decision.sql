-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_decision(p_position bigint, p_event_ids uuid[], p_events integer)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_last bigint := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    v_existing bigint := (SELECT count(*) FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids));
BEGIN
    IF p_position IS NULL OR p_position < 0 THEN
        PERFORM eventstream.refuse_value('position', p_position::text, '0 or more: the one that the query was read up to');
    ELSIF p_position > v_last THEN
        PERFORM eventstream.refuse_beyond_end('position', p_position, v_last);
    -- In one snapshot for all statements, what was appended before the locks were there cannot be seen, but for what
    -- is at or below the position that the snapshot knows as stable.
    ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
        AND v_last > (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'events may have been appended after the snapshot of this transaction was taken',
            HINT = 'Decide in a READ COMMITTED transaction, which sees them; or run the transaction again.';
    ELSIF v_existing > 0 AND v_existing < p_events THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('%s of %s events of the decision exist already', v_existing, p_events),
            jsonb_build_object('problem', 'is new, while others of this append exist already'),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
    RETURN v_existing > 0;
END;
$function$;

COMMENT ON FUNCTION eventstream.check_decision(bigint,uuid[],integer) IS 'Whether a decision was made before, by the ids of its events; raises ES008, ES013, ES005 or 40001 if it cannot be judged. For append_if alone, once it holds its tags.';

REVOKE ALL ON FUNCTION eventstream.check_decision(bigint,uuid[],integer) FROM PUBLIC;
