-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.check_ingest(p_stream_id text, p_versions bigint[], p_event_ids uuid[], p_lengths integer[], p_watermark bigint, p_max_ahead bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_events integer := coalesce(cardinality(p_versions), 0);
BEGIN
    IF v_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', v_events::text, 'at most 100000 in one call');
    ELSIF v_events = 0 THEN
        PERFORM eventstream.refuse_value('number of events', '0', 'at least 1');
    ELSIF p_stream_id IS NULL THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given');
    ELSIF (v_events = ALL (p_lengths)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('batch', NULL, format('arrays of one length, here %s', v_events));
    ELSIF EXISTS (SELECT FROM unnest(p_event_ids) AS e WHERE e IS NULL) THEN
        PERFORM eventstream.refuse_value('event_id', NULL, 'given for each event: it tells a repeated delivery from another event');
    ELSIF EXISTS (SELECT FROM unnest(p_versions) AS v WHERE v IS NULL OR v < 1) THEN
        PERFORM eventstream.refuse_value('version', p_versions::text, '1 or more for each event');
    ELSIF EXISTS (SELECT FROM unnest(p_versions) AS v WHERE v - p_watermark > p_max_ahead) THEN
        PERFORM eventstream.refuse_value('version', (SELECT max(v) FROM unnest(p_versions) AS v)::text,
            format('at most %s ahead of the stream''s watermark, which is %s', p_max_ahead, p_watermark));
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.check_ingest(text,bigint[],uuid[],integer[],bigint,bigint) IS 'Raises ES008 if the arguments of ingest() do not fit together, or a version is absurdly far ahead.';

REVOKE ALL ON FUNCTION eventstream.check_ingest(text,bigint[],uuid[],integer[],bigint,bigint) FROM PUBLIC;
