-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.note_decision(p_query jsonb, p_position bigint, p_stream_ids text[], p_event_counts integer[], p_types text[], p_metadata jsonb[])
 RETURNS jsonb[]
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
DECLARE
    v_metadata jsonb[] := coalesce(p_metadata, array_fill('{}'::jsonb, ARRAY[cardinality(p_types)]));
    v_at integer;
BEGIN
    SELECT u.ends INTO v_at
    FROM (
        SELECT r.stream_id, r.n, sum(r.events) OVER (ORDER BY r.n) AS ends
        FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS r (stream_id, events, n)
    ) AS u
    ORDER BY u.stream_id COLLATE "C" DESC, u.n DESC
    LIMIT 1;
    -- What is no object, the gate refuses.
    IF jsonb_typeof(coalesce(v_metadata[v_at], '{}')) = 'object' THEN
        v_metadata[v_at] := coalesce(v_metadata[v_at], '{}')
            || jsonb_build_object('decided', jsonb_build_object('query', p_query, 'position', p_position));
    END IF;
    RETURN v_metadata;
END;
$function$;

COMMENT ON FUNCTION eventstream.note_decision(jsonb,bigint,text[],integer[],text[],jsonb[]) IS 'Metadata of a batch with a decision noted in its last event, under the key decided: its query and its position.';

REVOKE ALL ON FUNCTION eventstream.note_decision(jsonb,bigint,text[],integer[],text[],jsonb[]) FROM PUBLIC;
