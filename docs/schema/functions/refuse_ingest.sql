-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_ingest(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    SELECT u.version, u.event_id, k.event_id AS other_id, k.place INTO r
    FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data) AS u (version, event_id, type, payload, data)
    CROSS JOIN LATERAL (
        SELECT e.event_id, e.type, e.payload, e.data, 'events' AS place,
            eventstream.is_erased(e.payload, e.data, e.metadata)
                AND eventstream.held_content(p_stream_id, e.version, e.event_id, u.payload, u.data) AS held
        FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version = u.version
        UNION ALL
        SELECT p.event_id, p.type, p.payload, p.data, 'pending_events', false
        FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND p.version = u.version
    ) AS k
    WHERE k.event_id <> u.event_id
        OR k.type <> u.type
        OR (k.payload <> coalesce(u.payload, 'null') OR k.data IS DISTINCT FROM u.data) AND NOT k.held
    ORDER BY u.version
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT u.version, (array_agg(u.event_id))[1] AS event_id, (array_agg(u.event_id))[count(*)] AS other_id, 'this call' AS place
        INTO r
        FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data) AS u (version, event_id, type, payload, data)
        GROUP BY u.version
        HAVING count(DISTINCT (u.event_id, u.type, coalesce(u.payload, 'null'), u.data)) > 1
        ORDER BY u.version
        LIMIT 1;
    END IF;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES001',
            CASE
                WHEN r.event_id = r.other_id THEN format('version %s of stream %L: event %s comes with other content than it has in %s',
                    r.version, p_stream_id, r.event_id, r.place)
                ELSE format('version %s of stream %L is event %s in %s, and event %s here',
                    r.version, p_stream_id, r.other_id, r.place, r.event_id)
            END,
            jsonb_build_object('stream_id', p_stream_id, 'version', r.version, 'event_id', r.event_id,
                'other_event_id', r.other_id, 'place', r.place),
            'Two sources number this stream differently. Find out which is right; the store keeps what it has.');
    END IF;

    SELECT u.event_id, u.version, k.stream_id AS found_stream_id, k.version AS found_version INTO r
    FROM unnest(p_versions, p_event_ids) AS u (version, event_id)
    CROSS JOIN LATERAL (
        SELECT e.stream_id, e.version FROM eventstream.events AS e WHERE e.event_id = u.event_id
        UNION ALL
        SELECT p.stream_id, p.version FROM eventstream.pending_events AS p WHERE p.event_id = u.event_id
        UNION ALL
        SELECT p_stream_id, min(o.version)
        FROM unnest(p_versions, p_event_ids) AS o (version, event_id)
        WHERE o.event_id = u.event_id
    ) AS k
    WHERE (k.stream_id, k.version) <> (p_stream_id, u.version)
    LIMIT 1;
    IF eventstream.is_bound(eventstream.calling_role()) THEN
        -- Not where: it may be another tenant's.
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s for version %s of stream %L exists already', r.event_id, r.version, p_stream_id),
            jsonb_build_object('event_id', r.event_id, 'stream_id', p_stream_id, 'version', r.version),
            'An event id names one event. Give each event an id of its own.');
    END IF;
    PERFORM eventstream.refuse(
        'ES005',
        format('event %s for version %s of stream %L exists already, as version %s of stream %L',
            r.event_id, r.version, p_stream_id, r.found_version, r.found_stream_id),
        jsonb_build_object('event_id', r.event_id, 'stream_id', p_stream_id, 'version', r.version,
            'found_stream_id', r.found_stream_id, 'found_version', r.found_version),
        'An event id names one event. Give each event an id of its own.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_ingest(text,bigint[],uuid[],text[],jsonb[],bytea[]) IS 'Raises ES001 or ES005: says which event of an ingest contradicts what is there. Never returns.';

REVOKE ALL ON FUNCTION eventstream.refuse_ingest(text,bigint[],uuid[],text[],jsonb[],bytea[]) FROM PUBLIC;
