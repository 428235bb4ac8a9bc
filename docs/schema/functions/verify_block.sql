-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.verify_block(p_block bigint)
 RETURNS TABLE(event_position bigint, stream_id text, version bigint, fault text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
#variable_conflict use_column
DECLARE
    s eventstream.seals;
    v_from bigint;
    v_leaves bytea;
    v_positions bytea;
    v_count bigint;
BEGIN
    SELECT q.* INTO s FROM eventstream.seals AS q WHERE q.block = p_block;
    -- Nothing is below the first block, whatever its position.
    v_from := CASE WHEN p_block = 1 THEN -9223372036854775808 ELSE s.from_position END;
    -- One more than there should be is enough to see that there are too many.
    SELECT
        string_agg(d.digest, ''::bytea ORDER BY d.position),
        string_agg(int8send(d.position), ''::bytea ORDER BY d.position),
        count(*)
    INTO v_leaves, v_positions, v_count
    FROM (
        SELECT g.position, g.digest
        FROM eventstream.event_digests AS g
        WHERE g.position >= v_from AND g.position <= s.to_position
        ORDER BY g.position
        LIMIT s.event_count + 1
    ) AS d;
    IF v_count = s.event_count AND eventstream.merkle_root(v_leaves) = s.merkle_root THEN
        IF v_leaves <> s.leaves OR v_positions <> s.positions THEN
            fault := 'leaves changed';
            RETURN NEXT;
        END IF;
        RETURN;
    END IF;
    IF eventstream.merkle_root(s.leaves) IS DISTINCT FROM s.merkle_root THEN
        fault := 'events and leaves changed';
        RETURN NEXT;
        RETURN;
    END IF;
    v_leaves := s.leaves || ''::bytea;
    v_positions := s.positions || ''::bytea;
    RETURN QUERY
    SELECT
        coalesce(g.position, k.position),
        g.stream_id,
        g.version,
        CASE WHEN g.position IS NULL THEN 'event missing' WHEN k.position IS NULL THEN 'event added' ELSE 'event changed' END
    FROM (
        SELECT
            ('x' || encode(substr(v_positions, i * 8 + 1, 8), 'hex'))::bit(64)::bigint AS position,
            substr(v_leaves, i * 32 + 1, 32) AS leaf
        FROM generate_series(0, s.event_count - 1) AS i
    ) AS k
    FULL JOIN (
        SELECT e.position, e.stream_id, e.version, e.digest
        FROM eventstream.event_digests AS e
        WHERE e.position >= v_from AND e.position <= s.to_position
    ) AS g ON g.position = k.position
    WHERE g.digest IS DISTINCT FROM k.leaf
    ORDER BY 1
    LIMIT 1;
    -- Every event has its leaf, and yet they give another root: the positions that name them were changed, too.
    IF NOT FOUND THEN
        fault := 'events and leaves changed';
        RETURN NEXT;
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.verify_block(bigint) IS 'The first event of a sealed block that is not as it was sealed; no row if all are. Called by verify_seals().';

GRANT EXECUTE ON FUNCTION eventstream.verify_block(bigint) TO PUBLIC;
