-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.refuse_overtaken(p_last bigint, p_own bigint[], p_positions bigint[], p_types text[], p_tags jsonb[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET jit TO 'off'
 SET enable_seqscan TO 'off'
 SET enable_bitmapscan TO 'off'
AS $function$
DECLARE
    r record;
BEGIN
    -- In one snapshot for all statements, what was decided since cannot be seen.
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        IF pg_sequence_last_value('eventstream.events_position_seq'::regclass) > p_last THEN
            PERFORM eventstream.refuse_old_snapshot();
        END IF;
        RETURN;
    END IF;
    SELECT e.position, e.stream_id, e.version, n.position AS row_position INTO r
    FROM eventstream.events AS e
    CROSS JOIN LATERAL (
        SELECT u.position
        FROM unnest(p_positions, p_types, p_tags) AS u (position, type, tags)
        WHERE u.position < e.position AND eventstream.matches_query(e.metadata #> '{decided,query}', u.type, u.tags)
        LIMIT 1
    ) AS n
    WHERE e.position > (SELECT min(u) FROM unnest(p_positions) AS u) AND e.metadata ? 'decided' AND (e.position = ANY (p_own)) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('the event at position %s carries tags that a decision at position %s asked for, without seeing it',
                r.row_position, r.position),
            jsonb_build_object('stream_id', r.stream_id, 'version', r.version, 'position', r.row_position, 'last_position', r.position),
            'Try again, or use eventstream.append, which locks first.');
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.refuse_overtaken(bigint,bigint[],bigint[],text[],jsonb[]) IS 'Raises ES006 if a decision that asked for events like these was made after they drew their positions and before they had their locks; 40001 where the snapshot is too old to see it. For events_gate alone.';

REVOKE ALL ON FUNCTION eventstream.refuse_overtaken(bigint,bigint[],bigint[],text[],jsonb[]) FROM PUBLIC;
