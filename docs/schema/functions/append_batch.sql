-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_batch(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_ids text[] DEFAULT NULL::text[], p_partition_ids integer[] DEFAULT NULL::integer[], p_atomic boolean DEFAULT true)
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_events integer := cardinality(p_types);
    v_stream_id text := p_stream_ids[1];
    v_expected bigint := p_expected[1];
    -- '' and -1 stand for not given, for callers whose arrays hold no NULL.
    v_tenant_id text := nullif(p_tenant_ids[1], '');
    v_placed_id integer := nullif(p_partition_ids[1], -1);
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_head_id eventstream.stream_id;
    v_head_tenant_id eventstream.tenant_id;
    v_partition_id eventstream.partition_id;
BEGIN
    IF v_requests IS DISTINCT FROM 1 THEN
        RETURN QUERY SELECT m.* FROM eventstream.append_many(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
            p_occurred_at, p_tenant_ids, p_partition_ids, p_atomic) AS m;
        RETURN;
    END IF;
    -- Spelled out rather than put into arrays: this is evaluated on each call.
    IF (v_events >= 1 AND v_events <= 100000
        AND v_stream_id IS NOT NULL AND v_expected >= -3 AND p_event_counts[1] = v_events
        AND cardinality(p_expected) = 1 AND cardinality(p_event_counts) = 1
        AND (p_tenant_ids IS NULL OR cardinality(p_tenant_ids) = 1)
        AND (p_partition_ids IS NULL OR cardinality(p_partition_ids) = 1)
        AND (p_event_ids IS NULL OR cardinality(p_event_ids) = v_events)
        AND (p_payloads IS NULL OR cardinality(p_payloads) = v_events)
        AND (p_data IS NULL OR cardinality(p_data) = v_events)
        AND (p_metadata IS NULL OR cardinality(p_metadata) = v_events)
        AND (p_occurred_at IS NULL OR cardinality(p_occurred_at) = v_events)) IS NOT TRUE
    THEN
        PERFORM eventstream.refuse_batch(p_stream_ids, p_expected, p_event_counts, v_events,
            ARRAY[v_events, cardinality(p_event_ids), cardinality(p_payloads), cardinality(p_data), cardinality(p_metadata),
                cardinality(p_occurred_at)],
            ARRAY[v_requests, cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
                cardinality(p_partition_ids)]);
    END IF;

    -- One request, the common case. Its stream is locked before its version is checked, and that before a position is drawn: a loser
    -- burns no number, and positions rise with versions.
    request := 1;
    LOOP
        SELECT s.stream_id, s.tenant_id, s.partition_id, s.current_version, s.watermark
        INTO v_head_id, v_head_tenant_id, v_partition_id, current_version, watermark
        FROM eventstream.streams AS s
        WHERE s.stream_id = v_stream_id
        FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        IF v_expected = -2 OR v_expected > 0 THEN
            outcome := CASE WHEN v_expected = -2 THEN 'stream_missing' ELSE 'version_conflict' END;
            current_version := 0;
            watermark := 0;
            RETURN NEXT;
            RETURN;
        END IF;
        v_head_id := v_stream_id;
        v_head_tenant_id := coalesce(v_tenant_id, 'default');
        v_partition_id := coalesce(v_placed_id, eventstream.partition_of(v_stream_id, eventstream.partition_count()));
        IF eventstream.create_head(v_stream_id, v_head_tenant_id, v_partition_id) THEN
            current_version := 0;
            watermark := 0;
            EXIT;
        END IF;
    END LOOP;

    tenant_id := v_head_tenant_id;
    IF v_placed_id <> v_partition_id THEN
        PERFORM eventstream.refuse_partition(v_stream_id, v_partition_id, v_placed_id);
    END IF;
    outcome := eventstream.judge(v_expected, v_tenant_id, tenant_id, current_version, watermark);
    IF outcome IS DISTINCT FROM 'tenant_mismatch'
        AND EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids))
    THEN
        SELECT d.first_version, d.last_version, d.last_position
        INTO first_version, last_version, last_position
        FROM eventstream.find_duplicate(v_stream_id, p_event_ids, p_types, p_payloads, p_data) AS d;
        outcome := 'duplicate';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    first_version := current_version + 1;
    IF v_events = 1 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        VALUES (
            first_version,
            coalesce(p_event_ids[1], eventstream.uuid_v7()),
            coalesce(p_occurred_at[1], clock_timestamp()),
            v_partition_id,
            v_head_id,
            v_head_tenant_id,
            p_types[1],
            coalesce(p_payloads[1], 'null'),
            p_data[1],
            coalesce(p_metadata[1], '{}')
        );
    ELSE
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            append_batch.current_version + u.ordinality,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            v_partition_id,
            v_head_id,
            v_head_tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            WITH ORDINALITY AS u (event_id, type, payload, data, metadata, occurred_at, ordinality);
    END IF;

    outcome := 'appended';
    last_version := current_version + v_events;
    last_position := currval('eventstream.events_position_seq'::regclass);
    current_version := last_version;
    watermark := last_version;
    RETURN NEXT;
END;
$function$;

COMMENT ON FUNCTION eventstream.append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean) IS 'Appends any number of requests, all or nothing (p_atomic) or each on its own, and returns a row for each. Per request: stream, expected version (n exactly, -1 any, -2 exists, -3 empty), number of events, tenant (or empty), partition (or -1). Per event: id, type, payload, data, metadata, occurred_at. At most 100000 events a call. outcome NULL: not applied, because another request of the atomic batch was refused.';

REVOKE ALL ON FUNCTION eventstream.append_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean) FROM PUBLIC;
