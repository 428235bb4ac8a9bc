-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.batch_adds_up(p_stream_ids text[], p_expected bigint[], p_event_counts integer[], p_events integer)
 RETURNS boolean
 LANGUAGE plpgsql
 IMMUTABLE
 SET search_path TO ''
AS $function$
BEGIN
    RETURN cardinality(p_stream_ids) >= 1 AND (
        SELECT bool_and(q.stream_id IS NOT NULL AND coalesce(q.expected >= -3 AND q.events >= 1, false))
            AND sum(q.events) = p_events
        FROM unnest(p_stream_ids, p_expected, p_event_counts) AS q (stream_id, expected, events)
    );
END;
$function$;

COMMENT ON FUNCTION eventstream.batch_adds_up(text[],bigint[],integer[],integer) IS 'Whether the requests of a batch are complete and have as many events as are given. For append_batch alone.';

GRANT EXECUTE ON FUNCTION eventstream.batch_adds_up(text[],bigint[],integer[],integer) TO PUBLIC;
