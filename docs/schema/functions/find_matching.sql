-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.find_matching(p_query jsonb, p_after bigint, p_until bigint, p_limit integer)
 RETURNS SETOF bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET enable_sort TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    IF p_until - p_after > 1000 AND NOT jsonb_path_exists(p_query, 'lax $[*] ? (!exists(@.tags[*]))') AND EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indexrelid = to_regclass('eventstream.events_tags_idx') AND i.indisvalid
            AND i.indrelid = 'eventstream.events'::regclass
    ) THEN
        RETURN QUERY SELECT f FROM eventstream.find_by_tags(p_query, p_after, p_until, p_limit) AS f;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.position
    FROM eventstream.events AS e
    WHERE e.position > p_after AND e.position <= p_until AND e.metadata ? 'tags'
        AND eventstream.matches_query(p_query, e.type, e.metadata -> 'tags')
    ORDER BY e.position
    LIMIT p_limit;
END;
$function$;

COMMENT ON FUNCTION eventstream.find_matching(jsonb,bigint,bigint,integer) IS 'Positions above p_after, up to p_until, of events that carry tags and match a query, in order.';

GRANT EXECUTE ON FUNCTION eventstream.find_matching(jsonb,bigint,bigint,integer) TO PUBLIC;
