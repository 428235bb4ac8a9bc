-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.sealed_digest(p_position bigint)
 RETURNS bytea
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
DECLARE
    v_key bytea := int8send(p_position);
    s record;
    v_from integer := 0;
    v_to integer;
    v_at integer;
BEGIN
    -- A copy in memory: of what is stored apart, each substr would look up its pieces. Where a block has an event at each
    -- of its positions, as most have, they need not be read.
    SELECT q.block, q.event_count, q.from_position,
        CASE WHEN q.event_count <= q.to_position - q.from_position THEN q.positions || ''::bytea END AS positions
    INTO s
    FROM eventstream.seals AS q WHERE q.to_position >= p_position ORDER BY q.to_position LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF s.positions IS NULL THEN
        RETURN (
            SELECT substr(q.leaves, (p_position - s.from_position)::integer * 32 + 1, 32)
            FROM eventstream.seals AS q
            WHERE q.block = s.block
        );
    END IF;
    v_to := s.event_count;
    WHILE v_from < v_to LOOP
        v_at := (v_from + v_to) / 2;
        IF substr(s.positions, v_at * 8 + 1, 8) < v_key THEN
            v_from := v_at + 1;
        ELSE
            v_to := v_at;
        END IF;
    END LOOP;
    IF substr(s.positions, v_from * 8 + 1, 8) <> v_key THEN
        RETURN ''::bytea;
    END IF;
    RETURN (SELECT substr(q.leaves, v_from * 32 + 1, 32) FROM eventstream.seals AS q WHERE q.block = s.block);
END;
$function$;

COMMENT ON FUNCTION eventstream.sealed_digest(bigint) IS 'The digest that an event at a position was sealed with; NULL if no block reaches so far, and no bytes if the block that does has no such event.';

GRANT EXECUTE ON FUNCTION eventstream.sealed_digest(bigint) TO PUBLIC;
