-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_sequence()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    -- The sequence is read after the snapshot of the query was taken: nothing that is visible is above it, unless it is
    -- behind.
    v_highest bigint := (SELECT max(e.position) FROM ONLY eventstream.events AS e);
    v_last bigint := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
BEGIN
    IF v_highest > coalesce(v_last, 0) THEN
        PERFORM eventstream.refuse(
            'ES009',
            format('the sequence of positions is at %s, but there is an event at position %s', coalesce(v_last, 0), v_highest),
            jsonb_build_object('sequence', coalesce(v_last, 0), 'last_position', v_highest),
            format('Stop the writers, then SELECT setval(''eventstream.events_position_seq'', %s); then SELECT * FROM eventstream.audit().',
                v_highest));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_sequence() IS 'Raises ES009 if the sequence of positions is behind the events; returns otherwise.';

REVOKE ALL ON FUNCTION eventstream.refuse_sequence() FROM PUBLIC;
