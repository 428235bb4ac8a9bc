-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.advance_ready(p_from bigint, p_to bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_stream_id text;
BEGIN
    -- Also what became ready behind a position that was passed already, as by an ingest that committed late: among the
    -- first that wait.
    FOR v_stream_id IN
        (
            SELECT DISTINCT e.stream_id
            FROM eventstream.events AS e
            JOIN eventstream.pending_events AS w ON w.stream_id = e.stream_id AND w.version = e.version + 1
            WHERE e.position > p_from AND e.position <= p_to
            LIMIT 100
        )
        UNION
        SELECT w.stream_id
        FROM (
            SELECT p.stream_id, p.version FROM eventstream.pending_events AS p ORDER BY p.stream_id, p.version LIMIT 1000
        ) AS w
        WHERE w.version = 1
            OR (SELECT true FROM eventstream.events AS e WHERE e.stream_id = w.stream_id AND e.version = w.version - 1)
            OR (SELECT true FROM eventstream.events AS e WHERE e.stream_id = w.stream_id AND e.version = w.version)
        LIMIT 100
    LOOP
        BEGIN
            CONTINUE WHEN NOT pg_try_advisory_xact_lock(1163097202, eventstream.stream_key(v_stream_id));
            PERFORM eventstream.advance_watermark(v_stream_id);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'what waits of stream % stays: %', quote_literal(v_stream_id), SQLERRM;
        END;
    END LOOP;
END;
$function$;

COMMENT ON FUNCTION eventstream.advance_ready(bigint,bigint) IS 'advance_watermark() for up to 100 streams in which something waits for nothing: those of events above p_from, up to p_to, and those of the first 1000 events that wait. Called by advance_stable_position().';

REVOKE ALL ON FUNCTION eventstream.advance_ready(bigint,bigint) FROM PUBLIC;
