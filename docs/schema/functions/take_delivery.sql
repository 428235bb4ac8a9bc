-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.take_delivery(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_metadata jsonb[], p_occurred_at timestamp with time zone[], p_tenant_id text, p_partition_id integer, p_watermark bigint, OUT is_new boolean[], OUT new_events bigint)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_run bigint;
    v_fits boolean;
BEGIN
    SELECT
        array_agg(j.is_new ORDER BY j.ordinality),
        count(*) FILTER (WHERE j.is_new),
        bool_and(j.fits IS TRUE) AND count(DISTINCT j.version) = count(DISTINCT j.event_id)
    INTO is_new, new_events, v_fits
    FROM (
        SELECT
            u.ordinality,
            u.version,
            u.event_id,
            e.version IS NULL AND p.version IS NULL AND row_number() OVER same_version = 1 AS is_new,
            CASE
                WHEN e.version IS NOT NULL THEN
                    (e.event_id, e.type) = (u.event_id, u.type)
                    AND (e.payload = u.payload AND e.data IS NOT DISTINCT FROM u.data
                        OR eventstream.is_erased(e.payload, e.data, e.metadata)
                        AND eventstream.held_content(p_stream_id, e.version, e.event_id, u.payload, u.data))
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
        FROM unnest(p_versions, take_delivery.is_new) AS u (version, is_new)
        WHERE u.is_new
    ) AS n
    WHERE n.version = p_watermark + n.nth;
    IF v_run > 0 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), clock_timestamp(), p_partition_id, p_stream_id,
            p_tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(take_delivery.is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version <= p_watermark + v_run
        ORDER BY u.version;
    END IF;
    IF new_events > v_run THEN
        INSERT INTO eventstream.pending_events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), p_partition_id, p_stream_id,
            p_tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(take_delivery.is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version > p_watermark + v_run;
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.take_delivery(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) IS 'Puts the new events of a delivery where they belong: which are new, and how many. For ingest() alone.';

REVOKE ALL ON FUNCTION eventstream.take_delivery(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) FROM PUBLIC;
