-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.append_if(p_query jsonb, p_position bigint, p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[] DEFAULT NULL::bytea[], p_metadata jsonb[] DEFAULT NULL::jsonb[], p_occurred_at timestamp with time zone[] DEFAULT NULL::timestamp with time zone[], p_tenant_ids text[] DEFAULT NULL::text[], p_partition_ids integer[] DEFAULT NULL::integer[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text, found_position bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
DECLARE
    v_found bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.check_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, p_tenant_ids, p_partition_ids, NULL);
    PERFORM eventstream.hold_tags_of_batch(p_types, p_metadata, eventstream.query_keys(p_query));
    IF NOT eventstream.check_decision(p_position, p_event_ids, cardinality(p_types)) THEN
        SELECT f INTO v_found FROM eventstream.find_matching(p_query, p_position,
            pg_sequence_last_value('eventstream.events_position_seq'::regclass), 1) AS f;
        IF FOUND THEN
            RETURN QUERY SELECT n, 'decision_conflict', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text,
                v_found FROM generate_subscripts(p_stream_ids, 1) AS n;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT b.request, b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id, NULL::bigint
    FROM eventstream.append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data,
        eventstream.note_decision(p_query, p_position, p_stream_ids, p_event_counts, p_types, p_metadata),
        p_occurred_at, p_tenant_ids, p_partition_ids) AS b;
END;
$function$;

COMMENT ON FUNCTION eventstream.append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) IS 'append_batch, all or nothing, if no event that carries tags and matches p_query came after p_position; else the outcome is decision_conflict, and found_position the first such event. p_query: an array of alternatives like {"types": [...], "tags": [...]}, of which an event has one of the types and all of the tags. p_position: up to which the query was read (query_position), or last_position of an append_if with the same query.';

REVOKE ALL ON FUNCTION eventstream.append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstream.append_if(jsonb,bigint,text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[]) TO eventstream_writer;
