-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.tenant_append_if(p_query jsonb, p_position bigint, p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_ids text[] DEFAULT NULL::text[], p_partition_ids integer[] DEFAULT NULL::integer[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text, found_position bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
AS $function$
DECLARE
    -- A decision is of one tenant: on its events, and for its streams.
    v_tenant_id text := eventstream.admit_tenant(p_tenant_ids[1]);
    v_found bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.check_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, p_tenant_ids, p_partition_ids, NULL);
    IF EXISTS (SELECT FROM unnest(p_tenant_ids) AS t WHERE t <> '' AND t <> v_tenant_id) THEN
        PERFORM eventstream.refuse_value('tenants', p_tenant_ids::text, 'one for all requests of a decision');
    END IF;
    PERFORM eventstream.hold_tags_of_batch(p_types, p_metadata, eventstream.query_keys(p_query));
    IF NOT eventstream.check_decision(p_position, p_event_ids, cardinality(p_types)) THEN
        -- Of every tenant's, since the function does not know one, and then this tenant's first.
        SELECT f.position INTO v_found
        FROM eventstream.find_matching(p_query, p_position, pg_sequence_last_value('eventstream.events_position_seq'::regclass), NULL)
            AS f (position)
        CROSS JOIN LATERAL (
            SELECT e.tenant_id FROM eventstream.events AS e WHERE e.position = f.position OFFSET 0
        ) AS e
        WHERE e.tenant_id = v_tenant_id
        ORDER BY f.position
        LIMIT 1;
        IF FOUND THEN
            RETURN QUERY SELECT n, 'decision_conflict', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text,
                v_found FROM generate_subscripts(p_stream_ids, 1) AS n;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT b.request, b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id, NULL::bigint
    FROM eventstream.tenant_append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data,
        eventstream.note_decision(p_query, p_position, p_stream_ids, p_event_counts, p_types, p_metadata),
        p_occurred_at, array_fill(v_tenant_id, ARRAY[cardinality(p_stream_ids)]), p_partition_ids) AS b;
END;
$function$;

COMMENT ON FUNCTION eventstream.tenant_append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) IS 'append_if for one tenant, the session''s: events of others match no query, and their streams do not exist.';

REVOKE ALL ON FUNCTION eventstream.tenant_append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.tenant_append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) TO eventstream_tenant;
