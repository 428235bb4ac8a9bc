-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.held_content(p_stream_id text, p_version bigint, p_event_id uuid, p_payload jsonb, p_data bytea)
 RETURNS boolean
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    RETURN EXISTS (
        SELECT FROM eventstream.erasures AS x
        WHERE x.stream_id = p_stream_id AND x.version = p_version AND x.place = 'events' AND x.event_id = p_event_id
            AND x.payload_digest = sha256(convert_to(coalesce(p_payload, 'null')::text, 'UTF8'))
            AND x.data_digest IS NOT DISTINCT FROM sha256(p_data));
END;
$function$;

COMMENT ON FUNCTION eventstream.held_content(text,bigint,uuid,jsonb,bytea) IS 'Whether an event that was erased held this payload and these data, by their digests.';

REVOKE ALL ON FUNCTION eventstream.held_content(text,bigint,uuid,jsonb,bytea) FROM PUBLIC;
