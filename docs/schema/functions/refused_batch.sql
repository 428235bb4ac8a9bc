-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refused_batch(p_stream_ids text[], p_outcomes text[], p_first_versions bigint[], p_last_versions bigint[], p_last_positions bigint[])
 RETURNS TABLE(request integer, outcome text, first_version bigint, last_version bigint, last_position bigint, current_version bigint, watermark bigint, tenant_id text)
 LANGUAGE plpgsql
 SET search_path TO ''
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET jit TO 'off'
AS $function$
BEGIN
    RETURN QUERY
    SELECT
        q.ordinality::integer,
        nullif(q.outcome, 'appended'),
        CASE WHEN q.outcome = 'duplicate' THEN q.first_version END,
        CASE WHEN q.outcome = 'duplicate' THEN q.last_version END,
        CASE WHEN q.outcome = 'duplicate' THEN q.last_position END,
        coalesce(s.current_version, 0)::bigint,
        coalesce(s.watermark, 0)::bigint,
        s.tenant_id::text
    FROM unnest(p_stream_ids, p_outcomes, p_first_versions, p_last_versions, p_last_positions)
        WITH ORDINALITY AS q (stream_id, outcome, first_version, last_version, last_position, ordinality)
    LEFT JOIN LATERAL (
        SELECT h.* FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id OFFSET 0
    ) AS s ON true
    ORDER BY q.ordinality;
    PERFORM eventstream.drop_empty_heads(p_stream_ids);
END;
$function$;

COMMENT ON FUNCTION eventstream.refused_batch(text[],text[],bigint[],bigint[],bigint[]) IS 'Result of an atomic batch of which nothing was applied. For append_batch alone.';

GRANT EXECUTE ON FUNCTION eventstream.refused_batch(text[],text[],bigint[],bigint[],bigint[]) TO PUBLIC;
