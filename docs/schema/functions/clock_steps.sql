-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.clock_steps(p_position bigint)
 RETURNS TABLE("position" bigint, stream_id text, version bigint, recorded_at timestamp with time zone, before timestamp with time zone, problem text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT e.position, e.stream_id, e.version, e.recorded_at, e.before, 'the clock went back by more than a minute'
    FROM (
        SELECT n.position, n.stream_id, n.version, n.recorded_at, lag(n.recorded_at) OVER (ORDER BY n.position) AS before
        FROM eventstream.events AS n
        -- From the last one that was seen before on.
        WHERE n.position >= coalesce((SELECT max(p.position) FROM eventstream.events AS p WHERE p.position <= p_position), p_position)
    ) AS e
    WHERE e.recorded_at < e.before - interval '1 minute';
END;
$function$;

COMMENT ON FUNCTION eventstream.clock_steps(bigint) IS 'Events after a position whose recorded_at is more than a minute below that of the event before them in the log.';

GRANT EXECUTE ON FUNCTION eventstream.clock_steps(bigint) TO PUBLIC;
