-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.event_weight(p_payload jsonb, p_data bytea, p_metadata jsonb)
 RETURNS integer
 LANGUAGE sql
 STABLE PARALLEL SAFE
RETURN (((LEAST(pg_column_size(p_payload), (1 << 25)) * CASE WHEN (pg_column_compression(p_payload) IS NULL) THEN 1 ELSE 8 END) + LEAST(COALESCE(octet_length(p_data), 0), (1 << 28))) + (LEAST(pg_column_size(p_metadata), (1 << 25)) * CASE WHEN (pg_column_compression(p_metadata) IS NULL) THEN 1 ELSE 8 END));

COMMENT ON FUNCTION eventstream.event_weight(jsonb,bytea,jsonb) IS 'About how many bytes an event has on the wire, found without reading it.';

GRANT EXECUTE ON FUNCTION eventstream.event_weight(jsonb,bytea,jsonb) TO PUBLIC;
