-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.find_duplicate(p_stream_id text, p_event_ids uuid[], p_types text[], p_payloads jsonb[], p_data bytea[], OUT first_version bigint, OUT last_version bigint, OUT last_position bigint)
 RETURNS record
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
AS $function$
DECLARE
    v_found bigint;
    v_bad record;
BEGIN
    SELECT count(*), min(e.version), max(e.version), max(e.position)
    INTO v_found, first_version, last_version, last_position
    FROM eventstream.events AS e
    WHERE e.event_id = ANY (p_event_ids);
    IF v_found = 0 THEN
        RETURN;
    END IF;

    -- The first event that is not where a repetition of the same append would have it.
    SELECT
        u.event_id,
        e.stream_id,
        e.version,
        CASE
            WHEN e.event_id IS NULL THEN 'is new, while others of this append are there already'
            WHEN e.stream_id <> p_stream_id THEN 'is there already, in another stream'
            WHEN e.version <> find_duplicate.first_version + u.ordinality - 1 THEN 'is there already, in another order'
            ELSE 'is there already, with other content'
        END AS problem
    INTO v_bad
    FROM unnest(p_event_ids, p_types, p_payloads, p_data) WITH ORDINALITY AS u (event_id, type, payload, data, ordinality)
    LEFT JOIN eventstream.events AS e ON e.event_id = u.event_id
    WHERE e.event_id IS NULL
        OR e.stream_id <> p_stream_id
        OR e.version <> find_duplicate.first_version + u.ordinality - 1
        OR e.type <> u.type
        OR e.payload <> coalesce(u.payload, 'null')
        OR e.data IS DISTINCT FROM u.data
    ORDER BY e.event_id IS NULL, u.ordinality
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s of the append to stream %L %s', v_bad.event_id, p_stream_id, v_bad.problem),
            jsonb_build_object('event_id', v_bad.event_id, 'stream_id', p_stream_id,
                'found_stream_id', v_bad.stream_id, 'found_version', v_bad.version, 'problem', v_bad.problem),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.find_duplicate(text,uuid[],text[],jsonb[],bytea[]) IS 'First result of an append that is there already; NULLs when none of its event ids is; ES005 when they are used for something else.';

GRANT EXECUTE ON FUNCTION eventstream.find_duplicate(text,uuid[],text[],jsonb[],bytea[]) TO PUBLIC;
