-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_content(p_event_id uuid, p_payload jsonb, p_data bytea, p_metadata jsonb)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    IF p_event_id = '00000000-0000-0000-0000-000000000000' THEN
        PERFORM eventstream.refuse_value('event_id', p_event_id::text, 'another one than the nil UUID, or left out');
    ELSIF octet_length(p_data) > 128000000 THEN
        PERFORM eventstream.refuse_value('data', octet_length(p_data) || ' bytes', 'at most 128000000 bytes');
    ELSIF p_metadata ? '$erased' AND eventstream.is_erased(p_payload, p_data, p_metadata) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('metadata', p_metadata::text,
            'without the key $erased, which marks an erased event: such a one has nothing else, the payload null, and no data');
    END IF;
    PERFORM eventstream.refuse_json('payload', p_payload);
    PERFORM eventstream.refuse_json('metadata', p_metadata);
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_content(uuid,jsonb,bytea,jsonb) IS 'Raises ES008 for what is_content() refuses, metadata that are no object apart; returns if nothing is wrong.';

REVOKE ALL ON FUNCTION eventstream.refuse_content(uuid,jsonb,bytea,jsonb) FROM PUBLIC;
