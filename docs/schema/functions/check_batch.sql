-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_batch(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], p_metadata jsonb[], p_occurred_at timestamp with time zone[], p_tenant_ids text[], p_partition_ids integer[], p_units integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_requests integer := coalesce(cardinality(p_stream_ids), 0);
    v_events integer := coalesce(cardinality(p_types), 0);
    v_total bigint := v_events;
    v_units_fit boolean := true;
    -- Arrays of one dimension that begin at 1: others would be read out of step.
    v_request_dims text := '[1:' || v_requests || ']';
    v_event_dims text := '[1:' || v_events || ']';
BEGIN
    -- The queries stand by themselves: a condition with one in it is run as a statement, however it is decided.
    IF (v_requests = v_events AND 1 = ALL (p_event_counts)) IS NOT TRUE THEN
        v_total := (SELECT sum(c) FROM unnest(p_event_counts) AS c);
    END IF;
    IF p_units IS NOT NULL THEN
        v_units_fit := array_dims(p_units) = v_request_dims AND array_position(p_units, NULL) IS NULL AND 1 <= ALL (p_units)
            AND p_units = ARRAY(SELECT unnest(p_units) ORDER BY 1);
    END IF;
    IF v_requests >= 1 AND v_events BETWEEN 1 AND 100000 AND v_total = v_events AND v_units_fit
        AND array_dims(p_stream_ids) = v_request_dims AND array_dims(p_expected) = v_request_dims
        AND array_dims(p_event_counts) = v_request_dims AND array_dims(p_types) = v_event_dims
        -- What closes a stream stands alone, or at the end: the requests of a batch would have to be judged by each other's types.
        AND (v_requests = 1 OR array_position(p_types, '$closed') IS NULL)
        AND array_position(p_stream_ids, NULL) IS NULL AND -3 <= ALL (p_expected) AND 1 <= ALL (p_event_counts)
        AND (p_tenant_ids IS NULL OR array_dims(p_tenant_ids) = v_request_dims)
        AND (p_partition_ids IS NULL OR array_dims(p_partition_ids) = v_request_dims)
        AND (p_event_ids IS NULL OR array_dims(p_event_ids) = v_event_dims)
        AND (p_payloads IS NULL OR array_dims(p_payloads) = v_event_dims)
        AND (p_data IS NULL OR array_dims(p_data) = v_event_dims)
        AND (p_metadata IS NULL OR array_dims(p_metadata) = v_event_dims)
        AND (p_occurred_at IS NULL OR array_dims(p_occurred_at) = v_event_dims)
    THEN
        RETURN;
    ELSIF v_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', v_events::text, 'at most 100000 in one call');
    ELSIF v_requests > 1 AND '$closed' = ANY (p_types) THEN
        PERFORM eventstream.refuse_value('event_type', '$closed', 'in a call of its own: it closes a stream');
    ELSIF v_requests = 0 OR v_events = 0 OR EXISTS (SELECT FROM unnest(p_event_counts) AS c WHERE coalesce(c, 0) < 1) THEN
        PERFORM eventstream.refuse_value('number of events', coalesce(p_event_counts::text, '0'), 'at least 1 for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_stream_ids) AS s WHERE s IS NULL) THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_expected) AS e WHERE coalesce(e, -4) < -3) THEN
        PERFORM eventstream.refuse_value('expected version', p_expected::text, '0 or more, or -1 (any), -2 (exists) or -3 (empty)');
    ELSIF v_requests <> ANY (ARRAY[cardinality(p_expected), cardinality(p_event_counts), cardinality(p_tenant_ids),
        cardinality(p_partition_ids), cardinality(p_units)])
    THEN
        PERFORM eventstream.refuse_value('batch', v_requests::text, format('arrays of %s elements, from index 1, for what is given per request', v_requests));
    ELSIF p_units IS NOT NULL AND v_total = v_events THEN
        PERFORM eventstream.refuse_value('units', p_units::text, 'a number from 1 for each request, in ascending order');
    END IF;
    PERFORM eventstream.refuse_value('batch', v_events::text,
        format('arrays of %s elements, from index 1, for what is given per event, as p_event_counts add up to', v_total));
END;
$function$;

COMMENT ON FUNCTION eventstream.check_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],integer[]) IS 'Raises ES008 if the arguments of append_batch do not fit together.';

REVOKE ALL ON FUNCTION eventstream.check_batch(text[],bigint[],integer[],uuid[],text[],jsonb[],bytea[],jsonb[],timestamp with time zone[],text[],integer[],integer[]) FROM PUBLIC;
