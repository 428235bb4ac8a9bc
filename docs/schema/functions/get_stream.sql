-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.get_stream(p_stream_id text)
 RETURNS SETOF eventstream.streams
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT p_stream_id COLLATE "C", coalesce(f.partition_id, w.partition_id), coalesce(f.tenant_id, w.tenant_id),
        greatest(l.version, w.version), coalesce(l.version, 0), coalesce(l.position, 0), coalesce(f.recorded_at, w.first_received_at),
        greatest(l.recorded_at, w.last_received_at)
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT e.version, e.position, e.recorded_at
        FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT e.partition_id, e.tenant_id, e.recorded_at
        FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version <= 1 ORDER BY e.version LIMIT 1
    ) AS f ON true
    LEFT JOIN LATERAL (
        SELECT max(p.version) AS version, min(p.partition_id) AS partition_id, min(p.tenant_id) AS tenant_id,
            min(p.received_at) AS first_received_at, max(p.received_at) AS last_received_at
        FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id
    ) AS w ON true
    WHERE l.version IS NOT NULL OR w.version IS NOT NULL;
END;
$function$;

COMMENT ON FUNCTION eventstream.get_stream(text) IS 'The row of streams for one stream; none if it does not exist.';

GRANT EXECUTE ON FUNCTION eventstream.get_stream(text) TO PUBLIC;
