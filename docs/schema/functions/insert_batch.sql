-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.insert_batch(p_verdicts eventstream.verdicts, p_stream_ids text[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_metadata jsonb[], p_occurred_at timestamp with time zone[])
 RETURNS bigint[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_positions bigint[];
    v_streams text[] := p_stream_ids;
    v_tenants text[] := p_verdicts.tenant_ids;
    v_partitions integer[] := p_verdicts.partition_ids;
    v_versions bigint[] := p_verdicts.first_versions;
    v_outcomes text[] := p_verdicts.outcomes;
BEGIN
    IF p_verdicts.outcomes IS NULL AND cardinality(p_stream_ids) = 1 AND cardinality(p_types) > 1 THEN
        v_streams := array_fill(p_stream_ids[1], ARRAY[cardinality(p_types)]);
        v_tenants := array_fill(v_tenants[1], ARRAY[cardinality(p_types)]);
        v_partitions := array_fill(v_partitions[1], ARRAY[cardinality(p_types)]);
        v_versions := ARRAY(SELECT generate_series(v_versions[1], p_verdicts.last_versions[1]));
    ELSIF cardinality(p_stream_ids) < cardinality(p_types) THEN
        -- An element an event.
        SELECT array_agg(q.stream_id ORDER BY q.n, k),
            array_agg(q.first_version + k ORDER BY q.n, k),
            array_agg(q.tenant_id ORDER BY q.n, k),
            array_agg(q.partition_id ORDER BY q.n, k),
            CASE WHEN v_outcomes IS NOT NULL THEN array_agg(q.outcome ORDER BY q.n, k) END
        INTO v_streams, v_versions, v_tenants, v_partitions, v_outcomes
        FROM unnest(p_stream_ids, v_outcomes, v_versions, v_tenants, v_partitions, p_event_counts)
            WITH ORDINALITY AS q (stream_id, outcome, first_version, tenant_id, partition_id, events, n)
        CROSS JOIN LATERAL generate_series(0, q.events - 1) AS k;
    END IF;
    WITH inserted AS (
        INSERT INTO eventstream.events AS e (
            version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, coalesce(u.event_id, eventstream.uuid_v7()), coalesce(u.occurred_at, clock_timestamp()), clock_timestamp(),
            u.partition_id, u.stream_id, u.tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM (
            -- Side by side in the list of a SELECT: in FROM, each array would be copied to a store of its own first.
            SELECT unnest(v_streams) AS stream_id, unnest(v_versions) AS version, unnest(v_tenants) AS tenant_id,
                unnest(v_partitions) AS partition_id, unnest(p_event_ids) AS event_id, unnest(p_types) AS type,
                unnest(p_payloads) AS payload, unnest(p_data) AS data, unnest(p_metadata) AS metadata, unnest(p_occurred_at) AS occurred_at,
                unnest(v_outcomes) AS outcome
        ) AS u
        WHERE v_outcomes IS NULL OR u.outcome = 'appended'
        ORDER BY u.stream_id COLLATE "C", u.version
        RETURNING e.position
    )
    SELECT array_agg(i.position) INTO v_positions FROM inserted AS i;
    IF (cardinality(v_positions) >= p_verdicts.events) IS NOT TRUE THEN
        PERFORM eventstream.refuse(
            'ES002',
            format('%s of %s events of the batch were dropped by a trigger', p_verdicts.events - coalesce(cardinality(v_positions), 0), p_verdicts.events),
            jsonb_build_object('inserted', coalesce(cardinality(v_positions), 0), 'events', p_verdicts.events),
            'Remove the trigger on eventstream.events that returns NULL.');
    END IF;
    RETURN v_positions;
END;
$function$;

COMMENT ON FUNCTION eventstream.insert_batch(eventstream.verdicts,text[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[]) IS 'Inserts the events of a batch that are to be applied; their positions in order of stream and version. For append_batch alone.';

REVOKE ALL ON FUNCTION eventstream.insert_batch(eventstream.verdicts,text[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[]) FROM PUBLIC;
