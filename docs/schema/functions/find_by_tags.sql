-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.find_by_tags(p_query jsonb, p_after bigint, p_until bigint, p_limit integer)
 RETURNS SETOF bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_indexscan TO 'off'
 SET enable_indexonlyscan TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT DISTINCT f.position
    FROM jsonb_array_elements(p_query) AS a
    CROSS JOIN LATERAL (
        SELECT e.position
        FROM eventstream.events AS e
        WHERE e.metadata ? 'tags' AND e.metadata -> 'tags' @> (a -> 'tags')
            AND e.position + 0 > p_after AND e.position + 0 <= p_until
            AND (NOT a ? 'types' OR a -> 'types' = '[]' OR a -> 'types' ? e.type)
        OFFSET 0
    ) AS f
    ORDER BY f.position
    LIMIT p_limit;
END;
$function$;

COMMENT ON FUNCTION eventstream.find_by_tags(jsonb,bigint,bigint,integer) IS 'find_matching() by the index events_tags_idx.';

GRANT EXECUTE ON FUNCTION eventstream.find_by_tags(jsonb,bigint,bigint,integer) TO PUBLIC;
