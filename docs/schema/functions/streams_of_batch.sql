-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.streams_of_batch(p_stream_ids text[], OUT numbers integer[], OUT versions bigint[], OUT pending bigint[], OUT tenant_ids text[], OUT partition_ids integer[], OUT last_types text[])
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
BEGIN
    SELECT array_agg(d.number ORDER BY d.ordinality) INTO numbers
    FROM (
        SELECT u.ordinality, dense_rank() OVER (ORDER BY u.stream_id COLLATE "C")::integer AS number
        FROM unnest(p_stream_ids) WITH ORDINALITY AS u (stream_id, ordinality)
    ) AS d;
    SELECT array_agg(coalesce(l.version, 0) ORDER BY s.stream_id), array_agg(w.version ORDER BY s.stream_id),
        array_agg(coalesce(l.tenant_id, w.tenant_id) ORDER BY s.stream_id),
        array_agg(coalesce(l.partition_id, w.partition_id) ORDER BY s.stream_id), array_agg(l.type ORDER BY s.stream_id)
    INTO versions, pending, tenant_ids, partition_ids, last_types
    FROM (SELECT DISTINCT u.stream_id COLLATE "C" AS stream_id FROM unnest(p_stream_ids) AS u (stream_id)) AS s
    LEFT JOIN LATERAL (
        SELECT e.version, e.tenant_id, e.partition_id, e.type
        FROM ONLY eventstream.events AS e WHERE e.stream_id = s.stream_id ORDER BY e.version DESC LIMIT 1
    ) AS l ON true
    LEFT JOIN LATERAL (
        SELECT p.version, p.tenant_id, p.partition_id
        FROM eventstream.pending_events AS p WHERE p.stream_id = s.stream_id ORDER BY p.version DESC LIMIT 1
    ) AS w ON true;
END;
$function$;

COMMENT ON FUNCTION eventstream.streams_of_batch(text[]) IS 'The number of each request''s stream in the batch; and for each number, the last version, the highest version that waits, tenant and partition of that stream, and the type of its last event.';

REVOKE ALL ON FUNCTION eventstream.streams_of_batch(text[]) FROM PUBLIC;
