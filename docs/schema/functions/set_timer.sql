-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.set_timer(p_process text, p_key text, p_name text, p_due_at timestamp with time zone DEFAULT NULL::timestamp with time zone, p_after interval DEFAULT NULL::interval, p_payload jsonb DEFAULT 'null'::jsonb, p_timer_id uuid DEFAULT NULL::uuid, p_metadata jsonb DEFAULT NULL::jsonb)
 RETURNS timestamp with time zone
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_now timestamptz := clock_timestamp();
    v_due_at timestamptz := coalesce(p_due_at, v_now + p_after);
BEGIN
    PERFORM eventstream.refuse_timer(p_process, p_key, p_name, v_due_at, p_payload, p_metadata);
    INSERT INTO eventstream.timers AS t (process, key, name, due_at, next_at, set_at, payload, metadata, timer_id)
    VALUES (p_process, p_key, p_name, v_due_at, v_due_at, v_now, p_payload, p_metadata,
        coalesce(p_timer_id, eventstream.uuid_v7()))
    -- A timer that is set again is another one from then on. While somebody handles it, this waits.
    ON CONFLICT ON CONSTRAINT timers_pkey DO UPDATE
    SET due_at = EXCLUDED.due_at, next_at = EXCLUDED.next_at, payload = EXCLUDED.payload, metadata = EXCLUDED.metadata,
        timer_id = EXCLUDED.timer_id, set_at = EXCLUDED.set_at, tries = 0, parked_at = NULL, last_error = NULL;
    RETURN v_due_at;
END;
$function$;

COMMENT ON FUNCTION eventstream.set_timer(text,text,text,timestamp with time zone,interval,jsonb,uuid,jsonb) IS 'Sets a timer, at a time or after an interval from now on, and returns when it is due. One of this name takes its place.';

REVOKE ALL ON FUNCTION eventstream.set_timer(text,text,text,timestamp with time zone,interval,jsonb,uuid,jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.set_timer(text,text,text,timestamp with time zone,interval,jsonb,uuid,jsonb) TO eventstream_subscriber;
GRANT EXECUTE ON FUNCTION eventstream.set_timer(text,text,text,timestamp with time zone,interval,jsonb,uuid,jsonb) TO eventstream_writer;
