-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.recent_streams(p_limit integer DEFAULT 20)
 RETURNS SETOF eventstream.streams
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET jit TO 'off'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
DECLARE
    v_ids text[];
    v_window bigint := greatest(p_limit, 1)::bigint * 4;
    v_read bigint;
BEGIN
    IF coalesce(p_limit, 0) < 1 THEN
        RETURN;
    END IF;
    LOOP
        SELECT array_agg(r.stream_id ORDER BY r.position DESC), max(r.read) INTO v_ids, v_read
        FROM (
            SELECT t.stream_id, max(t.position) AS position, sum(count(*)) OVER () AS read
            FROM (SELECT e.stream_id, e.position FROM ONLY eventstream.events AS e ORDER BY e.position DESC LIMIT v_window) AS t
            GROUP BY t.stream_id
            ORDER BY max(t.position) DESC
        ) AS r;
        EXIT WHEN coalesce(cardinality(v_ids), 0) >= p_limit OR coalesce(v_read, 0) < v_window;
        v_window := v_window * 8;
    END LOOP;
    RETURN QUERY
    SELECT s.*
    FROM unnest(v_ids[:p_limit]) WITH ORDINALITY AS u (stream_id, nth)
    CROSS JOIN LATERAL (SELECT k.* FROM eventstream.streams AS k WHERE k.stream_id = u.stream_id OFFSET 0) AS s
    ORDER BY u.nth;
END;
$function$;

COMMENT ON FUNCTION eventstream.recent_streams(integer) IS 'The streams that got an event last, latest first, found from the end of the log.';

GRANT EXECUTE ON FUNCTION eventstream.recent_streams(integer) TO PUBLIC;
