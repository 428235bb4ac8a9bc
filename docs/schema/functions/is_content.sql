-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.is_content(p_event_id uuid, p_payload jsonb, p_data bytea, p_metadata jsonb)
 RETURNS boolean
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN ((p_event_id <> '00000000-0000-0000-0000-000000000000'::uuid) AND (jsonb_typeof(p_metadata) = 'object'::text) AND eventstream.is_json(p_payload) AND eventstream.is_json(p_metadata) AND ((octet_length(p_data) > 128000000) IS NOT TRUE) AND ((NOT (p_metadata ? '$erased'::text)) OR eventstream.is_erased(p_payload, p_data, p_metadata)));

COMMENT ON FUNCTION eventstream.is_content(uuid,jsonb,bytea,jsonb) IS 'Whether an event may have this id, which is not the nil UUID, this payload, at most 128000000 bytes of data, and these metadata, a JSON object, with the key $erased in an erased event alone.';

GRANT EXECUTE ON FUNCTION eventstream.is_content(uuid,jsonb,bytea,jsonb) TO PUBLIC;
