-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_swallowed()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_before bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 2)::bigint;
    v_drawn bigint;
BEGIN
    -- append_event looks again by itself.
    IF current_setting('eventstream.append_event', true) = 'on'
        OR pg_sequence_last_value('eventstream.events_position_seq'::regclass) IS NOT DISTINCT FROM nullif(v_before, 0)
    THEN
        RETURN;
    END IF;
    -- Somebody drew meanwhile; currval tells whether it was this session.
    BEGIN
        v_drawn := currval('eventstream.events_position_seq'::regclass);
    EXCEPTION WHEN object_not_in_prerequisite_state THEN
        RETURN;
    END;
    IF v_drawn > v_before THEN
        PERFORM eventstream.refuse(
            'ES002',
            'every event of the statement was dropped: a version or an event id exists already, or a trigger dropped '
            'the rows',
            jsonb_build_object('inserted', 0, 'drawn_position', v_drawn),
            'Leave ON CONFLICT out: eventstream.append recognises an event that was appended before. Remove a trigger '
            'on eventstream.events that returns NULL.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_swallowed() IS 'Raises ES002 if the statement drew positions but inserted no event (ON CONFLICT DO NOTHING).';

REVOKE ALL ON FUNCTION eventstream.refuse_swallowed() FROM PUBLIC;
