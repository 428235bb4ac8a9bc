-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.count_in_partition(p_partition_id integer, p_after bigint, p_until bigint)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    v_read bigint;
    v_last bigint;
    v_events bigint;
BEGIN
    SELECT count(*), max(n.position), count(*) FILTER (WHERE n.position <= p_until) INTO v_read, v_last, v_events
    FROM (
        SELECT e.position FROM eventstream.events AS e
        WHERE (e.partition_id, e.position) > (p_partition_id, p_after)
            AND (e.partition_id, e.position) <= (p_partition_id, 9223372036854775807)
        ORDER BY e.partition_id, e.position
        LIMIT 128
    ) AS n;
    IF v_read = 128 AND v_last <= p_until THEN
        SELECT count(*) INTO v_events FROM eventstream.events AS e
        WHERE (e.partition_id, e.position) > (p_partition_id, p_after)
            AND (e.partition_id, e.position) <= (p_partition_id, p_until);
    END IF;
    RETURN v_events;
END;
$function$;

COMMENT ON FUNCTION eventstream.count_in_partition(integer,bigint,bigint) IS 'How many events a partition has above p_after, up to p_until. It reads little where these are near each other, or near the end of the log.';

GRANT EXECUTE ON FUNCTION eventstream.count_in_partition(integer,bigint,bigint) TO PUBLIC;
