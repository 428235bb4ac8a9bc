-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.ingest(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_id text DEFAULT NULL::text, p_partition_id integer DEFAULT NULL::integer)
 RETURNS TABLE(appended bigint, pending bigint, duplicates bigint, watermark bigint, current_version bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    v_events integer := coalesce(cardinality(p_versions), 0);
    v_head record;
    v_is_new boolean[];
    v_new bigint;
    v_run bigint;
    v_fits boolean;
BEGIN
    IF v_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', v_events::text, 'at most 100000 in one call');
    ELSIF v_events = 0 THEN
        PERFORM eventstream.refuse_value('number of events', '0', 'at least 1');
    ELSIF p_stream_id IS NULL THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given');
    ELSIF (v_events = ALL (ARRAY[
        coalesce(cardinality(p_event_ids), 0), coalesce(cardinality(p_types), 0),
        coalesce(cardinality(p_payloads), v_events), coalesce(cardinality(p_data), v_events),
        coalesce(cardinality(p_metadata), v_events), coalesce(cardinality(p_occurred_at), v_events)])) IS NOT TRUE
    THEN
        PERFORM eventstream.refuse_value('batch', NULL, format('arrays of one length, here %s', v_events));
    ELSIF EXISTS (SELECT FROM unnest(p_event_ids) AS e WHERE e IS NULL) THEN
        PERFORM eventstream.refuse_value('event_id', NULL, 'given for each event: it tells a repeated delivery from another event');
    ELSIF EXISTS (SELECT FROM unnest(p_versions) AS v WHERE v IS NULL OR v < 1) THEN
        PERFORM eventstream.refuse_value('version', p_versions::text, '1 or more for each event');
    END IF;

    LOOP
        SELECT s.tenant_id, s.partition_id, s.watermark INTO v_head
        FROM eventstream.streams AS s
        WHERE s.stream_id = p_stream_id
        FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        PERFORM eventstream.create_head(p_stream_id, p_tenant_id, p_partition_id);
    END LOOP;
    IF p_tenant_id <> v_head.tenant_id THEN
        PERFORM eventstream.refuse_events(p_stream_id, p_tenant_id, v_head.partition_id, 0, 0, 0);
    ELSIF p_partition_id <> v_head.partition_id THEN
        PERFORM eventstream.refuse_partition(p_stream_id, v_head.partition_id, p_partition_id);
    END IF;

    -- Each event is new, or exactly what is there already, or what came before it in this call; anything else contradicts.
    SELECT
        array_agg(j.is_new ORDER BY j.ordinality),
        count(*) FILTER (WHERE j.is_new),
        bool_and(j.fits) AND count(DISTINCT j.version) = count(DISTINCT j.event_id)
    INTO v_is_new, v_new, v_fits
    FROM (
        SELECT
            u.ordinality,
            u.version,
            u.event_id,
            e.version IS NULL AND p.version IS NULL AND row_number() OVER same_version = 1 AS is_new,
            CASE
                WHEN e.version IS NOT NULL THEN
                    (e.event_id, e.type, e.payload) = (u.event_id, u.type, u.payload) AND e.data IS NOT DISTINCT FROM u.data
                WHEN p.version IS NOT NULL THEN
                    (p.event_id, p.type, p.payload) = (u.event_id, u.type, u.payload) AND p.data IS NOT DISTINCT FROM u.data
                ELSE
                    first_value(u.event_id) OVER same_version = u.event_id
                    AND first_value(u.type) OVER same_version = u.type
                    AND first_value(u.payload) OVER same_version = u.payload
                    AND first_value(u.data) OVER same_version IS NOT DISTINCT FROM u.data
                    AND (SELECT o.event_id FROM eventstream.events AS o WHERE o.event_id = u.event_id) IS NULL
                    AND (SELECT o.event_id FROM eventstream.pending_events AS o WHERE o.event_id = u.event_id) IS NULL
            END AS fits
        FROM (
            SELECT a.version, a.event_id, a.type, coalesce(a.payload, 'null') AS payload, a.data, a.ordinality
            FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data)
                WITH ORDINALITY AS a (version, event_id, type, payload, data, ordinality)
        ) AS u
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.events AS h WHERE h.stream_id = p_stream_id AND h.version = u.version OFFSET 0
        ) AS e ON true
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.pending_events AS h WHERE h.stream_id = p_stream_id AND h.version = u.version OFFSET 0
        ) AS p ON true
        WINDOW same_version AS (PARTITION BY u.version ORDER BY u.ordinality)
    ) AS j;
    IF v_fits IS NOT TRUE THEN
        PERFORM eventstream.refuse_ingest(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data);
    END IF;

    -- What follows the watermark enters at once; what leaves a hole waits.
    SELECT count(*) INTO v_run
    FROM (
        SELECT u.version, row_number() OVER (ORDER BY u.version) AS nth
        FROM unnest(p_versions, v_is_new) AS u (version, is_new)
        WHERE u.is_new
    ) AS n
    WHERE n.version = v_head.watermark + n.nth;
    IF v_run > 0 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), v_head.partition_id, p_stream_id,
            v_head.tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(v_is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version <= v_head.watermark + v_run
        ORDER BY u.version;
    END IF;
    IF v_run < v_new THEN
        INSERT INTO eventstream.pending_events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), v_head.partition_id, p_stream_id,
            v_head.tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(v_is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version > v_head.watermark + v_run;
    END IF;

    watermark := eventstream.advance_watermark(p_stream_id);
    SELECT s.current_version INTO current_version FROM eventstream.streams AS s WHERE s.stream_id = p_stream_id;
    appended := watermark - v_head.watermark;
    duplicates := v_events - v_new;
    SELECT count(*) INTO pending
    FROM unnest(p_versions, v_is_new) AS u (version, is_new)
    WHERE u.is_new AND u.version > ingest.watermark;
    RETURN NEXT;
END;
$function$;

COMMENT ON FUNCTION eventstream.ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer) IS 'Takes events of one stream with their versions given, in any order and any number of times. What follows the watermark enters events; what leaves a hole waits in pending_events. Returns how many entered (with those that waited for them), how many of these wait, how many were there already, and where the stream stands. At most 100000 events a call.';

REVOKE ALL ON FUNCTION eventstream.ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer) FROM PUBLIC;
