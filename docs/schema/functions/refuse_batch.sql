-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_batch(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_events integer, p_event_lengths integer[], p_request_lengths integer[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
DECLARE
    v_requests integer := coalesce(cardinality(p_stream_ids), 0);
BEGIN
    IF p_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', p_events::text, 'at most 100000 in one call');
    ELSIF v_requests = 0 OR EXISTS (SELECT FROM unnest(p_event_counts) AS c WHERE coalesce(c, 0) < 1) THEN
        PERFORM eventstream.refuse_value('number of events', coalesce(p_event_counts::text, '0'), 'at least 1 for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_stream_ids) AS s WHERE s IS NULL) THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_expected) AS e WHERE coalesce(e, -4) < -3) THEN
        PERFORM eventstream.refuse_value('expected version', p_expected::text,
            '0 or more, or -1 (any), -2 (exists) or -3 (empty)');
    ELSIF v_requests <> ALL (p_request_lengths) THEN
        PERFORM eventstream.refuse_value('batch', p_request_lengths::text,
            format('arrays of %s elements for what is given per request', v_requests));
    END IF;
    PERFORM eventstream.refuse_value('batch', p_event_lengths::text,
        format('arrays of %s elements for what is given per event, as p_event_counts add up to',
            (SELECT sum(c) FROM unnest(p_event_counts) AS c)));
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_batch(text[],bigint[],integer[],integer,integer[],integer[]) IS 'Raises ES008: says why the arguments of append_batch do not fit together. Never returns.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_batch(text[],bigint[],integer[],integer,integer[],integer[]) TO PUBLIC;
