-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.ingest(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_id text DEFAULT NULL::text, p_partition_id integer DEFAULT NULL::integer, p_max_ahead bigint DEFAULT 1000000)
 RETURNS TABLE(appended bigint, pending bigint, duplicates bigint, watermark bigint, current_version bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    v_ignored text := CASE WHEN p_metadata IS NOT NULL THEN eventstream.hold_tags_of_batch(p_types, p_metadata) END;
    v_locked text := eventstream.lock_streams(ARRAY[p_stream_id]);
    v_stream record;
    v_taken record;
    v_tries integer := 0;
BEGIN
    IF array_position(p_types, NULL) IS NOT NULL THEN
        PERFORM eventstream.refuse_value('event_type', NULL, 'given for each event');
    END IF;
    PERFORM eventstream.refuse_null_words(p_data);
    LOOP
        -- Where the stream stands, or what the first event that waits has fixed.
        SELECT l.version AS watermark, l.type AS last_type, coalesce(l.tenant_id, w.tenant_id) AS tenant_id, coalesce(l.partition_id, w.partition_id) AS partition_id
        INTO v_stream
        FROM (SELECT) AS one
        LEFT JOIN LATERAL (
            SELECT e.version, e.tenant_id, e.partition_id, e.type
            FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT p.tenant_id, p.partition_id
            FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id ORDER BY p.version DESC LIMIT 1
        ) AS w ON true;
        -- Before anything that says where the stream stands.
        IF p_tenant_id <> v_stream.tenant_id THEN
            PERFORM eventstream.refuse_tenant(p_stream_id, v_stream.tenant_id, p_tenant_id);
        END IF;
        PERFORM eventstream.check_ingest(p_stream_id, p_versions, p_event_ids,
            ARRAY[coalesce(cardinality(p_event_ids), 0), coalesce(cardinality(p_types), 0),
                coalesce(cardinality(p_payloads), cardinality(p_versions)), coalesce(cardinality(p_data), cardinality(p_versions)),
                coalesce(cardinality(p_metadata), cardinality(p_versions)), coalesce(cardinality(p_occurred_at), cardinality(p_versions))],
            coalesce(v_stream.watermark, 0), p_max_ahead);
        IF p_partition_id <> v_stream.partition_id THEN
            PERFORM eventstream.refuse_partition(p_stream_id, v_stream.partition_id, p_partition_id);
        END IF;
        BEGIN
            SELECT t.* INTO v_taken
            FROM eventstream.take_delivery(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at,
                coalesce(v_stream.tenant_id, p_tenant_id, 'default'),
                coalesce(v_stream.partition_id, p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
                coalesce(v_stream.watermark, 0)) AS t;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            -- A raw INSERT, which takes no lock, was faster. Look again: it is the same event, or it contradicts.
            PERFORM eventstream.refuse_sequence();
            PERFORM eventstream.refuse_old_snapshot();
            v_tries := v_tries + 1;
            IF v_tries = 5 THEN
                RAISE;
            END IF;
        END;
    END LOOP;

    -- What would wait behind a closed stream would wait for good.
    IF v_stream.last_type = '$closed' AND v_taken.new_events > 0 THEN
        PERFORM eventstream.refuse_closed(p_stream_id, v_stream.watermark);
    END IF;
    watermark := eventstream.advance_watermark(p_stream_id);
    current_version := greatest(watermark,
        (SELECT p.version FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id ORDER BY p.version DESC LIMIT 1));
    appended := watermark - coalesce(v_stream.watermark, 0);
    duplicates := cardinality(p_versions) - v_taken.new_events;
    SELECT count(*) INTO pending
    FROM unnest(p_versions, v_taken.is_new) AS u (version, is_new)
    WHERE u.is_new AND u.version > ingest.watermark;
    RETURN NEXT;
END;
$function$;

COMMENT ON FUNCTION eventstream.ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) IS 'Takes events of one stream with their versions given, in any order and any number of times. What follows the watermark enters events; what leaves a hole waits in pending_events. Returns how many entered (with those that waited for them), how many of these wait, how many existed already, and where the stream stands. At most 100000 events a call; a version more than p_max_ahead above the watermark is refused: it would be a mistake that ends the stream.';

REVOKE ALL ON FUNCTION eventstream.ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.ingest(text,bigint[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text,integer,bigint) TO eventstream_writer;
