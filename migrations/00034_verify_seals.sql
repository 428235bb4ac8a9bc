-- +goose Up
-- Seals: is history as it was when it was sealed. Reads only; what is sealed, and how, is in 00033_seals.sql.
-- Locks: none.
-- +goose StatementBegin

-- What each seal says of itself and of those before it, without a look at the events.
CREATE VIEW eventstream.seal_links AS
SELECT
    s.block,
    s.from_position,
    s.to_position,
    s.seal IS NOT DISTINCT FROM eventstream.seal_digest((SELECT t.store_id FROM eventstream.store AS t), s.block,
        s.from_position, s.to_position, s.last_sequence, s.sealed_at, s.event_count, s.previous_seal, s.skipped_seal,
        s.merkle_root) AS whole,
    CASE
        WHEN s.seal IS DISTINCT FROM eventstream.seal_digest((SELECT t.store_id FROM eventstream.store AS t), s.block,
            s.from_position, s.to_position, s.last_sequence, s.sealed_at, s.event_count, s.previous_seal, s.skipped_seal,
            s.merkle_root) THEN 'seal changed'
        WHEN s.block > 1 AND p.block IS NULL THEN 'seal before it missing'
        WHEN s.previous_seal <> coalesce(p.seal, decode(repeat('00', 32), 'hex'))
            OR s.from_position <> coalesce(p.to_position, 0) + 1
            OR s.last_sequence <> coalesce(p.last_sequence, 0) + s.event_count THEN 'does not follow the seal before it'
        WHEN s.skipped_seal <> CASE WHEN s.block & (s.block - 1) = 0 THEN decode(repeat('00', 32), 'hex') ELSE k.seal END
            THEN 'does not follow the seal that it skips to'
    END AS fault
FROM eventstream.seals AS s
LEFT JOIN eventstream.seals AS p ON p.block = s.block - 1
LEFT JOIN eventstream.seals AS k ON k.block = s.block & (s.block - 1);

COMMENT ON VIEW eventstream.seal_links IS
    'Whether each seal fits its columns (whole) and those before it; fault says how it does not. Reads no events.';

CREATE VIEW eventstream.audit_seals AS
SELECT l.block, l.from_position, l.to_position, l.fault AS problem
FROM eventstream.seal_links AS l
WHERE l.fault IS NOT NULL
UNION ALL
SELECT s.block, s.from_position, s.to_position, 'last event missing'
FROM eventstream.seals AS s
WHERE NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = s.to_position);

COMMENT ON VIEW eventstream.audit_seals IS
    'Seals that do not fit their columns or those before them, or whose last event is gone. A cheap look: whether '
    'events changed is for verify_seals() to say. Empty when nothing is wrong.';

CREATE FUNCTION eventstream.verify_block(p_block bigint) RETURNS TABLE (
    event_position bigint,
    stream_id text,
    version bigint,
    fault text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.verify_block IS
    'The first event of a sealed block that is not as it was sealed; no row if all are. Called by verify_seals().';

CREATE FUNCTION eventstream.verify_kept(p_kept text) RETURNS TABLE (
    block bigint,
    to_position bigint,
    fault text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    -- A signature may follow; that is for who has the public key.
    v_parts text[] := regexp_match(p_kept,
        '^gapless-seal:1:([0-9a-f-]{36}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([1-9][0-9]{0,17}):([0-9a-f]{64})'
        '(?::ed25519:[A-Za-z0-9_-]{86})?$');
    v_there text;
BEGIN
    IF v_parts IS NULL THEN
        PERFORM eventstream.refuse_value('kept', p_kept, 'the text that kept_seal() or seal() gave');
    END IF;
    block := v_parts[2]::bigint;
    to_position := v_parts[3]::bigint;
    v_there := eventstream.kept_seal(block);
    fault := CASE
        WHEN v_parts[1] <> (SELECT t.store_id::text FROM eventstream.store AS t) THEN 'kept seal of another store'
        WHEN v_there IS NULL THEN 'kept seal missing'
        WHEN v_there <> regexp_replace(p_kept, ':ed25519:.*$', '') THEN 'not the kept seal'
    END;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION eventstream.verify_kept IS
    'The block that a kept seal is about, and what is wrong with it: it is missing, or another one is in its place. '
    'Called by verify_seals().';

CREATE FUNCTION eventstream.verify_seals(
    p_from_block bigint DEFAULT 1,
    p_to_block bigint DEFAULT NULL,
    p_kept text DEFAULT NULL
) RETURNS TABLE (
    block bigint,
    from_position bigint,
    to_position bigint,
    event_position bigint,
    stream_id text,
    version bigint,
    fault text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
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
$$;

COMMENT ON FUNCTION eventstream.verify_seals IS
    'Blocks from p_from_block up to p_to_block (the last one by default) that are not as they were sealed, each with '
    'the first event that is not; no row if all are. With p_kept, a seal as seal() or kept_seal() gave it, also '
    'whether these blocks lead to it: then history up to it is the same, and none of it was removed.';
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.verify_seals, eventstream.verify_kept, eventstream.verify_block;
DROP VIEW eventstream.audit_seals;
DROP VIEW eventstream.seal_links;
