-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.keep_sequences(p_positions bigint[])
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_stable bigint;
    v_kept bigint;
BEGIN
    -- Locked, so that a concurrent advance_stable_position() has written its marks for these events, or has not begun.
    SELECT l.stable_position INTO v_stable FROM eventstream.log_state AS l WHERE l.lane = 0 FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM unnest(p_positions) AS u (position) WHERE (u.position <= v_stable) IS NOT TRUE) THEN
        PERFORM eventstream.refuse(
            'ES013',
            format('an event above the stable position %s has no sequence number to keep', v_stable),
            jsonb_build_object('stable_position', v_stable,
                'position', (SELECT max(u.position) FROM unnest(p_positions) AS u (position))),
            'Call eventstream.advance_stable_position() first, and remove nothing above it.');
    END IF;
    INSERT INTO eventstream.partition_marks (position, sequence, partition_id, removed)
    SELECT e.position, s.sequence, e.partition_id, true
    FROM eventstream.events AS e
    JOIN LATERAL (SELECT eventstream.partition_sequence_at(e.partition_id, e.position) AS sequence) AS s ON true
    WHERE e.position = ANY (p_positions)
    -- An event that has a mark already keeps it, now as that of a removed event.
    ON CONFLICT ON CONSTRAINT partition_marks_pkey DO UPDATE SET removed = true;
    GET DIAGNOSTICS v_kept = ROW_COUNT;
    RETURN v_kept;
END;
$function$;

COMMENT ON FUNCTION eventstream.keep_sequences(bigint[]) IS 'Keeps the sequence numbers of events that are about to be removed, so that no other event is renumbered. Returns their number.';

REVOKE ALL ON FUNCTION eventstream.keep_sequences(bigint[]) FROM PUBLIC;
