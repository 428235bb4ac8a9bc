-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.verify_seals(p_from_block bigint DEFAULT 1, p_to_block bigint DEFAULT NULL::bigint, p_kept text DEFAULT NULL::text)
 RETURNS TABLE(block bigint, from_position bigint, to_position bigint, event_position bigint, stream_id text, version bigint, fault text)
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
#variable_conflict use_column
DECLARE
    v_kept record;
    v_chain_to bigint := p_to_block;
    v_last bigint;
    l record;
BEGIN
    IF p_kept IS NOT NULL THEN
        SELECT k.* INTO v_kept FROM eventstream.verify_kept(p_kept) AS k;
        IF v_kept.fault IS NOT NULL THEN
            RETURN QUERY SELECT v_kept.block, NULL::bigint, v_kept.to_position, NULL::bigint, NULL::text, NULL::bigint, v_kept.fault;
        END IF;
        -- The chain from the last block asked for to the kept seal is what binds the two.
        v_chain_to := greatest(p_to_block, v_kept.block);
    END IF;
    FOR l IN
        SELECT q.*
        FROM eventstream.seal_links AS q
        WHERE q.block >= coalesce(p_from_block, 1) AND (p_to_block IS NULL OR q.block <= v_chain_to)
        ORDER BY q.block
    LOOP
        IF l.fault IS NOT NULL THEN
            RETURN QUERY SELECT l.block, l.from_position, l.to_position, NULL::bigint, NULL::text, NULL::bigint, l.fault;
        END IF;
        -- Of a seal that was changed there is nothing to compare events with.
        IF l.whole AND (p_to_block IS NULL OR l.block <= p_to_block) THEN
            RETURN QUERY
            SELECT l.block, l.from_position, l.to_position, b.event_position, b.stream_id, b.version, b.fault
            FROM eventstream.verify_block(l.block) AS b;
        END IF;
        v_last := l.block;
    END LOOP;
    IF p_to_block > coalesce(v_last, 0) THEN
        RETURN QUERY SELECT p_to_block, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::bigint, 'seal missing'::text;
    END IF;
END;
$function$;

COMMENT ON FUNCTION eventstream.verify_seals(bigint,bigint,text) IS 'Blocks from p_from_block up to p_to_block (the last one by default) that are not as they were sealed, each with the first event that is not; no row if all are. With p_kept, a seal as seal() or kept_seal() gave it, also whether these blocks lead to it: then history up to it is the same, and none of it was removed.';

GRANT EXECUTE ON FUNCTION eventstream.verify_seals(bigint,bigint,text) TO PUBLIC;
