-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_runs(p_stream_ids text[], p_versions bigint[], p_positions bigint[], p_key bigint, p_last bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO ''
AS $function$
DECLARE
    r record;
BEGIN
    SELECT u.* INTO r
    FROM unnest(p_stream_ids, p_versions, p_positions) AS u (stream_id, version, position)
    WHERE (u.position > p_key AND u.position <= p_last) IS NOT TRUE
    ORDER BY u.stream_id, u.version
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse_position(r.stream_id, r.version, r.position, p_key);
    END IF;
    SELECT u.stream_id, count(*) AS events, min(u.version) AS first_version, max(u.version) AS last_version
    INTO r
    FROM (
        SELECT q.stream_id, q.version,
            q.version - lag(q.version) OVER (PARTITION BY q.stream_id ORDER BY q.position) AS step
        FROM unnest(p_stream_ids, p_versions, p_positions) AS q (stream_id, version, position)
    ) AS u
    GROUP BY u.stream_id
    HAVING NOT coalesce(bool_and(u.step = 1), true)
    ORDER BY u.stream_id
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN; -- In order, but of several tenants or partitions: the heads say which is wrong.
    END IF;
    IF r.events <> r.last_version - r.first_version + 1 THEN
        PERFORM eventstream.refuse(
            'ES002',
            format('%s events of stream %L span versions %s to %s: not contiguous',
                r.events, r.stream_id, r.first_version, r.last_version),
            jsonb_build_object('stream_id', r.stream_id, 'first_version', r.first_version, 'last_version', r.last_version,
                'events', r.events),
            'Versions run 1, 2, 3 ... without a gap. For events that arrive out of order use eventstream.ingest.');
    END IF;
    PERFORM eventstream.refuse(
        'ES006',
        format('events of stream %L, versions %s to %s, are not inserted in version order',
            r.stream_id, r.first_version, r.last_version),
        jsonb_build_object('stream_id', r.stream_id, 'first_version', r.first_version, 'last_version', r.last_version),
        'Insert the rows of a stream in order of version (ORDER BY version), so that positions rise with versions.');
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_runs(text[],bigint[],bigint[],bigint,bigint) IS 'Raises ES002 or ES006 for rows of one statement that are not contiguous, not in version order, or with a position given by hand.';

GRANT EXECUTE ON FUNCTION eventstream.refuse_runs(text[],bigint[],bigint[],bigint,bigint) TO PUBLIC;
