-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.count_in_partition(p_partition_id integer, p_after bigint, p_until bigint, p_at_once integer)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    v_after bigint := p_after;
    v_limit integer := greatest(p_at_once, 1);
    v_found bigint;
    v_events bigint := 0;
BEGIN
    LOOP
        SELECT count(*) FILTER (WHERE n.position <= p_until), max(n.position) INTO v_found, v_after
        FROM (
            SELECT e.position FROM eventstream.events AS e
            WHERE (e.partition_id, e.position) > (p_partition_id, v_after)
                AND (e.partition_id, e.position) <= (p_partition_id, 9223372036854775807)
            ORDER BY e.partition_id, e.position
            LIMIT v_limit
        ) AS n;
        v_events := v_events + v_found;
        EXIT WHEN v_found < v_limit;
        v_limit := least(2 * v_limit, 1000000);
    END LOOP;
    RETURN v_events;
END;
$function$;

COMMENT ON FUNCTION eventstream.count_in_partition(integer,bigint,bigint,integer) IS 'How many events a partition has above p_after, up to p_until. It reads about twice as many at most, or p_at_once, which is how many it reads first.';

GRANT EXECUTE ON FUNCTION eventstream.count_in_partition(integer,bigint,bigint,integer) TO PUBLIC;
