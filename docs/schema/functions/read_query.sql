-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.read_query(p_query jsonb, p_after bigint, p_until bigint, p_limit integer)
 RETURNS SETOF eventstream.events
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
AS $function$
BEGIN
    PERFORM eventstream.check_query(p_query);
    RETURN QUERY
    SELECT e.*
    FROM eventstream.find_matching(p_query, p_after, p_until, p_limit) AS f (position)
    CROSS JOIN LATERAL (SELECT k.* FROM eventstream.events AS k WHERE k.position = f.position OFFSET 0) AS e
    ORDER BY e.position;
END;
$function$;

COMMENT ON FUNCTION eventstream.read_query(jsonb,bigint,bigint,integer) IS 'Events above p_after, up to p_until, that carry tags and match a query, in order of position. p_until is a stable position that an earlier statement read: the position to decide on.';

GRANT EXECUTE ON FUNCTION eventstream.read_query(jsonb,bigint,bigint,integer) TO PUBLIC;
