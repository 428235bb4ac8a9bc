-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_timer(p_process text, p_key text, p_name text, p_due_at timestamp with time zone, p_payload jsonb, p_metadata jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    PERFORM eventstream.check_name('timer process', p_process);
    PERFORM eventstream.check_name('timer key', p_key);
    PERFORM eventstream.check_name('timer name', p_name);
    IF (eventstream.is_time(p_due_at)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer time', p_due_at::text, 'a time in the years 1 to 9999');
    ELSIF (eventstream.is_json(p_payload)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer payload', eventstream.json_fault(p_payload),
            'JSON of at most 64000000 bytes as text and 1000 levels');
    ELSIF p_metadata IS NOT NULL AND (jsonb_typeof(p_metadata) = 'object' AND eventstream.is_json(p_metadata)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('timer metadata', eventstream.json_fault(p_metadata),
            'a JSON object of at most 64000000 bytes as text and 1000 levels, or NULL');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_timer(text,text,text,timestamp with time zone,jsonb,jsonb) IS 'Raises ES008 for a value that a timer cannot have; returns otherwise.';

REVOKE ALL ON FUNCTION eventstream.refuse_timer(text,text,text,timestamp with time zone,jsonb,jsonb) FROM PUBLIC;
