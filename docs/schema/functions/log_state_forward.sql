-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.log_state_forward()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.lane = OLD.lane AND NEW.stable_position >= OLD.stable_position
        AND NEW.last_sequence >= OLD.last_sequence AND NEW.last_position >= OLD.last_position
        AND NEW.marked_position >= OLD.marked_position AND NEW.marked_sequence >= OLD.marked_sequence
        AND NEW.last_recorded_at >= OLD.last_recorded_at
    THEN
        RETURN NEW;
    END IF;
    PERFORM eventstream.refuse(
        'ES004',
        format('%s on eventstream.log_state refused: the stable position only moves forward', TG_OP),
        jsonb_build_object('table', 'eventstream.log_state', 'operation', TG_OP,
            'stable_position', CASE WHEN TG_OP <> 'TRUNCATE' THEN OLD.stable_position END,
            'new_position', CASE WHEN TG_OP = 'UPDATE' THEN NEW.stable_position END),
        'Call eventstream.advance_stable_position().');
    RETURN NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.log_state_forward() IS 'Trigger: refuses to move the stable position back, or to remove it (ES004).';

REVOKE ALL ON FUNCTION eventstream.log_state_forward() FROM PUBLIC;
