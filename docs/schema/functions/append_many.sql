-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_many(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_metadata jsonb[], p_occurred_at timestamp with time zone[], p_tenant_ids text[], p_partition_ids integer[], p_atomic boolean)
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    v_requests integer := cardinality(p_stream_ids);
    v_events integer := cardinality(p_types);
    v_locked bigint;
    v_created boolean := false;
    v_fit boolean;
    v_placed boolean;
    -- Per request, in the caller's order.
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_current bigint[];
    v_watermarks bigint[];
    v_found_positions bigint[];
    -- Of the types of the columns: what comes from a head was judged when the stream began, and is not judged again.
    v_streams eventstream.stream_id[];
    v_tenants eventstream.tenant_id[];
    v_partitions eventstream.partition_id[];
    -- Per event.
    v_event_streams eventstream.stream_id[];
    v_event_versions bigint[];
    v_event_tenants eventstream.tenant_id[];
    v_event_partitions eventstream.partition_id[];
    v_positions bigint[];
BEGIN
    IF (v_events >= 1 AND v_events <= 100000
        AND CASE
            WHEN v_requests = v_events THEN
                array_position(p_stream_ids, NULL) IS NULL AND -3 <= ALL (p_expected) AND 1 = ALL (p_event_counts)
            ELSE eventstream.batch_adds_up(p_stream_ids, p_expected, p_event_counts, v_events)
        END
        AND cardinality(p_expected) = v_requests AND cardinality(p_event_counts) = v_requests
        AND (p_tenant_ids IS NULL OR cardinality(p_tenant_ids) = v_requests)
        AND (p_partition_ids IS NULL OR cardinality(p_partition_ids) = v_requests)
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
    IF NOT p_atomic AND v_requests <= 200 AND p_partition_ids IS NULL AND p_stream_ids[1] = ALL (p_stream_ids) THEN
        RETURN QUERY SELECT o.* FROM eventstream.append_run(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
            p_occurred_at, p_tenant_ids) AS o;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    -- Locks the heads in order of stream_id, once all are there: a lock on some, and a wait for others, could meet another batch half
    -- way. Judges as if every request will be applied: where that is so, nothing is left to do.
    LOOP
        SELECT
            count(*),
            bool_and(eventstream.judge(
                c.expected, c.tenant_id, c.head_tenant_id, c.head_version + c.events_so_far - c.events,
                c.head_watermark + c.events_so_far - c.events) IS NULL),
            bool_and(coalesce(c.partition_id = c.head_partition_id, true)),
            array_agg(c.head_version + c.events_so_far - c.events + 1 ORDER BY c.ordinality),
            array_agg(c.head_version + c.events_so_far ORDER BY c.ordinality),
            array_agg(c.head_stream_id ORDER BY c.ordinality),
            array_agg(c.head_tenant_id ORDER BY c.ordinality),
            array_agg(c.head_partition_id ORDER BY c.ordinality)
        INTO v_locked, v_fit, v_placed, v_first, v_last, v_streams, v_tenants, v_partitions
        FROM (
            SELECT l.*, sum(l.events) OVER (PARTITION BY l.stream_id ORDER BY l.ordinality) AS events_so_far
            FROM (
                SELECT q.ordinality, q.stream_id, q.expected, q.events,
                    nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
                    s.current_version AS head_version, s.watermark AS head_watermark,
                    s.stream_id AS head_stream_id, s.tenant_id AS head_tenant_id, s.partition_id AS head_partition_id
                FROM (
                    SELECT u.stream_id COLLATE "C" AS stream_id, u.expected, u.events, u.tenant_id, u.partition_id, u.ordinality
                    FROM unnest(p_stream_ids, p_expected, p_event_counts, p_tenant_ids, p_partition_ids)
                        WITH ORDINALITY AS u (stream_id, expected, events, tenant_id, partition_id, ordinality)
                    WHERE v_created OR v_requests = (
                        SELECT count(*)
                        FROM unnest(p_stream_ids) AS e (stream_id)
                        CROSS JOIN LATERAL (
                            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = e.stream_id OFFSET 0
                        ) AS t
                    )
                    ORDER BY u.stream_id COLLATE "C", u.ordinality
                    OFFSET 0
                ) AS q
                CROSS JOIN LATERAL (
                    SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id FOR NO KEY UPDATE
                ) AS s
            ) AS l
        ) AS c;
        EXIT WHEN v_locked = v_requests;
        PERFORM eventstream.create_heads(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids);
        v_created := true;
    END LOOP;

    IF NOT v_placed THEN
        PERFORM eventstream.refuse_partition(s.stream_id, s.partition_id, q.partition_id)
        FROM unnest(p_stream_ids, p_partition_ids) AS q (stream_id, partition_id)
        CROSS JOIN LATERAL (
            SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
        ) AS s
        WHERE nullif(q.partition_id, -1) <> s.partition_id;
    END IF;
    IF v_fit IS NOT TRUE OR EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids)) THEN
        SELECT j.* INTO v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks
        FROM eventstream.judge_each(
            p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_tenant_ids) AS j;
        IF p_atomic AND NOT (v_outcomes <@ ARRAY['appended', 'duplicate']) THEN
            RETURN QUERY SELECT b.* FROM eventstream.refused_batch(
                p_stream_ids, v_outcomes, v_first, v_last, v_found_positions) AS b;
            RETURN;
        END IF;
    END IF;

    IF v_outcomes IS NULL AND v_requests = cardinality(p_types) THEN
        v_event_streams := v_streams;
        v_event_versions := v_first;
        v_event_tenants := v_tenants;
        v_event_partitions := v_partitions;
    ELSE
        SELECT
            array_agg(q.stream_id ORDER BY q.ordinality, k),
            array_agg(CASE WHEN coalesce(q.outcome = 'appended', true) THEN q.first_version + k END ORDER BY q.ordinality, k),
            array_agg(q.tenant_id ORDER BY q.ordinality, k),
            array_agg(q.partition_id ORDER BY q.ordinality, k)
        INTO v_event_streams, v_event_versions, v_event_tenants, v_event_partitions
        FROM unnest(v_streams, v_outcomes, v_first, v_tenants, v_partitions, p_event_counts)
            WITH ORDINALITY AS q (stream_id, outcome, first_version, tenant_id, partition_id, events, ordinality)
        CROSS JOIN LATERAL generate_series(0, q.events - 1) AS k;
    END IF;

    WITH inserted AS (
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT
            u.version,
            coalesce(u.event_id, eventstream.uuid_v7()),
            coalesce(u.occurred_at, clock_timestamp()),
            u.partition_id,
            u.stream_id,
            u.tenant_id,
            u.type,
            coalesce(u.payload, 'null'),
            u.data,
            coalesce(u.metadata, '{}')
        FROM unnest(
            v_event_streams, v_event_versions, v_event_tenants, v_event_partitions,
            p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at
        ) AS u (stream_id, version, tenant_id, partition_id, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.version IS NOT NULL
        RETURNING e.position
    )
    SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;

    IF v_outcomes IS NULL AND v_requests = cardinality(p_types) THEN
        -- An event a request, all of them applied.
        RETURN QUERY
        SELECT u.ordinality::integer, 'appended'::text, u.version, u.version, u.position, u.version, u.version, u.tenant_id::text
        FROM unnest(v_first, v_positions, v_tenants) WITH ORDINALITY AS u (version, position, tenant_id, ordinality);
        RETURN;
    END IF;
    IF v_outcomes IS NOT NULL AND v_created THEN
        PERFORM eventstream.drop_empty_heads(p_stream_ids);
    END IF;

    -- Positions came in the order of the events: a request's last one is where its events end among those that were inserted.
    RETURN QUERY
    SELECT
        q.ordinality::integer,
        coalesce(q.outcome, 'appended'),
        q.first_version,
        q.last_version,
        CASE WHEN coalesce(q.outcome = 'appended', true) THEN v_positions[q.events_so_far] ELSE q.found_position END,
        coalesce(q.current_version, q.last_version),
        coalesce(q.watermark, q.last_version),
        q.tenant_id::text
    FROM (
        SELECT u.*, sum(CASE WHEN coalesce(u.outcome = 'appended', true) THEN u.events ELSE 0 END)
            OVER (ORDER BY u.ordinality) AS events_so_far
        FROM unnest(
            v_outcomes, v_first, v_last, v_found_positions, v_current, v_watermarks, v_tenants, p_event_counts
        ) WITH ORDINALITY AS u (
            outcome, first_version, last_version, found_position, current_version, watermark, tenant_id, events, ordinality
        )
    ) AS q;
END;
$function$;

COMMENT ON FUNCTION eventstream.append_many(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean) IS 'append_batch for more than one request; call that.';

REVOKE ALL ON FUNCTION eventstream.append_many(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],boolean) FROM PUBLIC;
