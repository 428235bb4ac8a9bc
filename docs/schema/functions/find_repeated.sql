-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.find_repeated(p_stream_ids text[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], OUT existing bigint[], OUT first_versions bigint[], OUT last_versions bigint[], OUT last_positions bigint[])
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_requests integer[];
    v_streams text[];
    r record;
BEGIN
    IF NOT eventstream.any_exists(p_event_ids) THEN
        RETURN;
    END IF;
    SELECT array_agg(q.ordinality::integer ORDER BY q.ordinality, k), array_agg(q.stream_id ORDER BY q.ordinality, k)
    INTO v_requests, v_streams
    FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS q (stream_id, events, ordinality)
    CROSS JOIN LATERAL generate_series(1, q.events) AS k;
    SELECT array_agg(d.existing ORDER BY d.request), array_agg(d.first_version ORDER BY d.request),
        array_agg(d.last_version ORDER BY d.request), array_agg(d.last_position ORDER BY d.request)
    INTO existing, first_versions, last_versions, last_positions
    FROM (
        SELECT u.request, count(e.version) AS existing, min(e.version) AS first_version, max(e.version) AS last_version,
            max(e.position) AS last_position
        FROM unnest(v_requests, p_event_ids) AS u (request, event_id)
        LEFT JOIN LATERAL (
            SELECT k.version, k.position FROM eventstream.events AS k WHERE k.event_id = u.event_id OFFSET 0
        ) AS e ON true
        GROUP BY u.request
    ) AS d;
    -- The first event that is not where a repetition of the same append would have it. Metadata and occurred_at do not
    -- count.
    SELECT u.event_id, u.for_stream_id, e.stream_id, e.version,
        CASE
            WHEN e.stream_id IS NULL THEN 'is new, while others of this append exist already'
            WHEN e.stream_id <> u.for_stream_id THEN 'exists already, in another stream'
            WHEN e.version <> first_versions[u.request] + u.nth - 1 THEN 'exists already, in another order'
            ELSE 'exists already, with other content'
        END AS problem
    INTO r
    FROM (
        SELECT a.*, row_number() OVER (PARTITION BY a.request ORDER BY a.ordinality) AS nth
        FROM unnest(v_requests, v_streams, p_event_ids, p_types, p_payloads, p_data)
            WITH ORDINALITY AS a (request, for_stream_id, event_id, type, payload, data, ordinality)
    ) AS u
    LEFT JOIN LATERAL (
        SELECT k.* FROM eventstream.events AS k WHERE k.event_id = u.event_id OFFSET 0
    ) AS e ON true
    WHERE existing[u.request] > 0 AND (
        e.stream_id = u.for_stream_id
        AND e.version = first_versions[u.request] + u.nth - 1
        AND e.type = u.type
        AND (e.payload = coalesce(u.payload, 'null') AND e.data IS NOT DISTINCT FROM u.data
            OR eventstream.is_erased(e.payload, e.data, e.metadata)
            AND eventstream.held_content(e.stream_id, e.version, e.event_id, u.payload, u.data))
    ) IS NOT TRUE
    ORDER BY u.request, e.stream_id IS NULL, u.ordinality
    LIMIT 1;
    IF FOUND THEN
        -- Who is bound to a tenant learns that the id is used, and not where: it may be another's.
        IF eventstream.is_bound(eventstream.calling_role()) THEN
            r.problem := 'exists already';
            r.stream_id := NULL;
            r.version := NULL;
        END IF;
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s of the append to stream %L %s', r.event_id, r.for_stream_id, r.problem),
            jsonb_build_object('event_id', r.event_id, 'stream_id', r.for_stream_id,
                'found_stream_id', r.stream_id, 'found_version', r.version, 'problem', r.problem),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.find_repeated(text[],integer[],uuid[],text[],jsonb[],bytea[]) IS 'Where the events of each request are that exist already, the same append again; NULLs if none does; ES005 if an id is used for something else.';

REVOKE ALL ON FUNCTION eventstream.find_repeated(text[],integer[],uuid[],text[],jsonb[],bytea[]) FROM PUBLIC;
