-- +goose Up
-- Seals: a proof that history is as it was. Each one closes a block of the stable log and covers the seal before it, so
-- the newest one, kept elsewhere, stands for all of it. docs/seals.md has every hashed byte, for other verifiers.
-- Locks: none at install. At run time seal() locks table seals against itself; writers of events never look at it.
-- +goose StatementBegin

-- Each column as its length (4 bytes, big-endian; -1 for NULL) and its bytes in the server's own binary format. What an
-- event holds goes in as digests, so that it can be taken away and the event's digest stays: those of an erased event
-- come from erasures, and from there for an event alone that holds nothing but the mark. Nothing in here depends on a
-- setting: jsonb has one text, in which keys are sorted and numbers keep their digits.
CREATE VIEW eventstream.event_digests AS
SELECT
    c.position,
    c.stream_id,
    c.version,
    c.payload_digest,
    c.data_digest,
    c.metadata_digest,
    sha256(
        '\x0000000008'::bytea || int8send(c.position)
        || '\x00000008'::bytea || int8send(c.version)
        || '\x00000010'::bytea || uuid_send(c.event_id)
        || '\x00000008'::bytea || timestamptz_send(c.occurred_at)
        || '\x00000008'::bytea || timestamptz_send(c.recorded_at)
        || '\x00000004'::bytea || int4send(c.partition_id)
        || int4send(octet_length(c.stream_id)) || convert_to(c.stream_id, 'UTF8')
        || int4send(octet_length(c.tenant_id)) || convert_to(c.tenant_id, 'UTF8')
        || int4send(octet_length(c.type)) || convert_to(c.type, 'UTF8')
        || '\x00000020'::bytea || c.payload_digest
        || coalesce('\x00000020'::bytea || c.data_digest, '\xffffffff'::bytea)
        || '\x00000020'::bytea || c.metadata_digest
    ) AS digest
FROM (
    SELECT
        e.position,
        e.version,
        e.event_id,
        e.occurred_at,
        e.recorded_at,
        e.partition_id,
        e.stream_id,
        e.tenant_id,
        e.type,
        coalesce(x.payload_digest, sha256(convert_to(e.payload::text, 'UTF8'))) AS payload_digest,
        CASE WHEN x.payload_digest IS NULL THEN sha256(e.data) ELSE x.data_digest END AS data_digest,
        coalesce(x.metadata_digest, sha256(convert_to(e.metadata::text, 'UTF8'))) AS metadata_digest
    FROM eventstream.events AS e
    LEFT JOIN eventstream.erasures AS x
        ON eventstream.is_erased(e.payload, e.data, e.metadata)
        AND x.stream_id = e.stream_id AND x.version = e.version AND x.event_id = e.event_id AND x.place = 'events'
) AS c;

COMMENT ON VIEW eventstream.event_digests IS 'The digest of each event, as seals count it: docs/seals.md.';
COMMENT ON COLUMN eventstream.event_digests.position IS 'The event.';
COMMENT ON COLUMN eventstream.event_digests.stream_id IS 'Its stream.';
COMMENT ON COLUMN eventstream.event_digests.version IS 'Its version.';
COMMENT ON COLUMN eventstream.event_digests.payload_digest IS
    'SHA-256 of the payload as the database prints it, in UTF-8.';
COMMENT ON COLUMN eventstream.event_digests.data_digest IS 'SHA-256 of data; NULL if there is none.';
COMMENT ON COLUMN eventstream.event_digests.metadata_digest IS
    'SHA-256 of the metadata as the database prints it, in UTF-8.';
COMMENT ON COLUMN eventstream.event_digests.digest IS
    'SHA-256 of a zero byte, and of every column with its length before it; of payload, data and metadata, of their '
    'digests.';

CREATE TABLE eventstream.seals (
    block bigint NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    last_sequence bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    event_count integer NOT NULL,
    previous_seal bytea NOT NULL,
    skipped_seal bytea NOT NULL,
    merkle_root bytea NOT NULL,
    seal bytea NOT NULL,
    leaves bytea NOT NULL,
    positions bytea NOT NULL,
    CONSTRAINT seals_pkey PRIMARY KEY (block),
    CONSTRAINT seals_to_position_key UNIQUE (to_position),
    -- A block holds an event at least, and no more than there are positions in it.
    CONSTRAINT seals_block_numbered CHECK (block >= 1),
    CONSTRAINT seals_positions_ordered CHECK (from_position >= 1 AND to_position >= from_position),
    CONSTRAINT seals_events_counted CHECK (
        event_count >= 1 AND event_count <= to_position - from_position + 1 AND last_sequence >= event_count),
    -- Digests have 32 bytes; there is one, and a position of 8, for each event.
    CONSTRAINT seals_digests_whole CHECK (
        octet_length(previous_seal) = 32 AND octet_length(skipped_seal) = 32 AND octet_length(merkle_root) = 32
        AND octet_length(seal) = 32),
    CONSTRAINT seals_leaves_whole CHECK (
        octet_length(leaves) = 32 * event_count AND octet_length(positions) = 8 * event_count)
);

-- Digests cannot be compressed, and are read in parts.
ALTER TABLE eventstream.seals ALTER COLUMN leaves SET STORAGE EXTERNAL;

COMMENT ON TABLE eventstream.seals IS
    'Sealed blocks of the log: digests that show whether the events of a block, and all blocks before it, are as they '
    'were. Written by eventstream.seal(), checked by eventstream.verify_seals().';
COMMENT ON COLUMN eventstream.seals.block IS 'Number of the block: 1, 2, 3 ... without a gap.';
COMMENT ON COLUMN eventstream.seals.from_position IS
    'First position that it covers: the one after the last block. Nothing at or below to_position can appear later.';
COMMENT ON COLUMN eventstream.seals.to_position IS 'Position of its last event.';
COMMENT ON COLUMN eventstream.seals.last_sequence IS 'Number of events in this block and all before it.';
COMMENT ON COLUMN eventstream.seals.sealed_at IS 'When it was sealed, by the database''s clock.';
COMMENT ON COLUMN eventstream.seals.event_count IS 'Number of events in it.';
COMMENT ON COLUMN eventstream.seals.previous_seal IS 'The seal of the block before; zero bytes in the first one.';
COMMENT ON COLUMN eventstream.seals.skipped_seal IS
    'The seal of block & (block - 1), zero bytes if that is 0: a short way back for proofs.';
COMMENT ON COLUMN eventstream.seals.merkle_root IS
    'Root of the Merkle tree (RFC 6962) whose leaves are the digests of its events, in order of position.';
COMMENT ON COLUMN eventstream.seals.seal IS
    'SHA-256 over the store''s id, the columns before it and both seals: it stands for all history up to to_position.';
COMMENT ON COLUMN eventstream.seals.leaves IS
    'Digests of its events, one after the other: they name the event that changed, and shorten proofs.';
COMMENT ON COLUMN eventstream.seals.positions IS
    'Positions of its events, 8 bytes each, big-endian: they name the event that is gone.';

CREATE TRIGGER seals_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.seals
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'a seal is for good', 'Seal what comes next: SELECT * FROM eventstream.seal().');

COMMENT ON TRIGGER seals_append_only ON eventstream.seals IS 'Seals are never changed or removed.';

-- Level by level, all nodes of one in a statement: the last of an odd number goes up as it is, which is the tree of
-- RFC 6962. Joining pairs in bytes takes no row or array for a node.
CREATE FUNCTION eventstream.merkle_root(p_leaves bytea) RETURNS bytea
LANGUAGE plpgsql
IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- A copy in memory: of what is stored apart, substr would look up each piece.
    v_nodes bytea := p_leaves || ''::bytea;
    v_count integer := octet_length(p_leaves) / 32;
BEGIN
    WHILE v_count > 1 LOOP
        SELECT string_agg(sha256('\x01'::bytea || substr(v_nodes, i * 64 + 1, 64)), ''::bytea ORDER BY i)
            || substr(v_nodes, v_count / 2 * 64 + 1)
        INTO v_nodes
        FROM generate_series(0, v_count / 2 - 1) AS i;
        v_count := (v_count + 1) / 2;
    END LOOP;
    RETURN v_nodes;
END;
$$;

COMMENT ON FUNCTION eventstream.merkle_root IS
    'Root of the Merkle tree (RFC 6962) over digests of 32 bytes that follow each other.';

CREATE FUNCTION eventstream.seal_digest(
    p_store_id uuid,
    p_block bigint,
    p_from_position bigint,
    p_to_position bigint,
    p_last_sequence bigint,
    p_sealed_at timestamptz,
    p_event_count integer,
    p_previous_seal bytea,
    p_skipped_seal bytea,
    p_merkle_root bytea
) RETURNS bytea
LANGUAGE sql
IMMUTABLE
RETURN sha256(
    '\x02'::bytea || uuid_send(p_store_id) || int8send(p_block) || int8send(p_from_position) || int8send(p_to_position)
    || int8send(p_last_sequence) || timestamptz_send(p_sealed_at) || int4send(p_event_count)
    || p_previous_seal || p_skipped_seal || p_merkle_root);

COMMENT ON FUNCTION eventstream.seal_digest IS 'What the seal of a block with these columns must be.';

CREATE FUNCTION eventstream.print_seal(
    p_store_id uuid,
    p_block bigint,
    p_to_position bigint,
    p_last_sequence bigint,
    p_seal bytea
) RETURNS text
LANGUAGE sql
IMMUTABLE
RETURN 'gapless-seal:1:' || p_store_id::text || ':' || p_block::text || ':' || p_to_position::text || ':'
    || p_last_sequence::text || ':' || encode(p_seal, 'hex');

COMMENT ON FUNCTION eventstream.print_seal IS
    'A seal as text to keep elsewhere: gapless-seal:1:store_id:block:to_position:last_sequence:seal.';

CREATE FUNCTION eventstream.kept_seal(p_block bigint DEFAULT NULL) RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT eventstream.print_seal(t.store_id, s.block, s.to_position, s.last_sequence, s.seal)
        FROM eventstream.seals AS s
        CROSS JOIN eventstream.store AS t
        WHERE s.block = p_block OR p_block IS NULL
        ORDER BY s.block DESC
        LIMIT 1
    );
END;
$$;

COMMENT ON FUNCTION eventstream.kept_seal IS
    'A seal as text to keep elsewhere, and to give to verify_seals() later: the newest one, or that of p_block; NULL '
    'if there is none.';

CREATE FUNCTION eventstream.seal(p_max_events integer DEFAULT 10000) RETURNS TABLE (
    block bigint,
    from_position bigint,
    to_position bigint,
    event_count integer,
    kept_seal text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_zero bytea := decode(repeat('00', 32), 'hex');
    v_stable bigint;
    v_last eventstream.seals;
    v_new eventstream.seals;
    v_store_id uuid;
BEGIN
    IF p_max_events IS NULL OR p_max_events NOT BETWEEN 1 AND 1000000 THEN
        PERFORM eventstream.refuse_value('max_events', p_max_events::text, '1 to 1000000');
    END IF;
    -- Two calls at once would seal the same events. Whoever comes second waits, and then seals what follows. A lock of the
    -- table's: nobody can take it who may not write seals, as anybody can an advisory one.
    LOCK TABLE eventstream.seals IN SHARE ROW EXCLUSIVE MODE;
    -- A statement of its own, before the one that reads events: else what commits between the two is lost.
    v_stable := eventstream.stable_position();
    SELECT t.store_id INTO v_store_id FROM eventstream.store AS t;
    SELECT s.* INTO v_last FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1;
    SELECT
        string_agg(d.digest, ''::bytea ORDER BY d.position),
        string_agg(int8send(d.position), ''::bytea ORDER BY d.position),
        count(*),
        max(d.position)
    INTO v_new.leaves, v_new.positions, v_new.event_count, v_new.to_position
    FROM (
        SELECT g.position, g.digest
        FROM eventstream.event_digests AS g
        WHERE g.position > coalesce(v_last.to_position, 0) AND g.position <= v_stable
        ORDER BY g.position
        LIMIT p_max_events
    ) AS d;
    IF v_new.event_count = 0 THEN
        RETURN;
    END IF;
    v_new.block := coalesce(v_last.block, 0) + 1;
    v_new.from_position := coalesce(v_last.to_position, 0) + 1;
    v_new.last_sequence := coalesce(v_last.last_sequence, 0) + v_new.event_count;
    v_new.sealed_at := clock_timestamp();
    v_new.previous_seal := coalesce(v_last.seal, v_zero);
    v_new.skipped_seal := coalesce(
        (SELECT s.seal FROM eventstream.seals AS s WHERE s.block = v_new.block & (v_new.block - 1)), v_zero);
    v_new.merkle_root := eventstream.merkle_root(v_new.leaves);
    v_new.seal := eventstream.seal_digest(v_store_id, v_new.block, v_new.from_position, v_new.to_position,
        v_new.last_sequence, v_new.sealed_at, v_new.event_count, v_new.previous_seal, v_new.skipped_seal,
        v_new.merkle_root);
    BEGIN
        INSERT INTO eventstream.seals SELECT v_new.*;
    EXCEPTION WHEN unique_violation THEN
        -- Nobody else seals now, so the block was there before: the snapshot of this transaction does not show it.
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = format('block %s was sealed after the snapshot of this transaction was taken', v_new.block),
            HINT = 'Run the transaction again, or seal in READ COMMITTED.';
    END;
    RETURN QUERY SELECT v_new.block, v_new.from_position, v_new.to_position, v_new.event_count,
        eventstream.print_seal(v_store_id, v_new.block, v_new.to_position, v_new.last_sequence, v_new.seal);
END;
$$;

COMMENT ON FUNCTION eventstream.seal IS
    'Seals the next block: up to p_max_events (1 to 1,000,000) of the stable log that have no seal yet. Returns it '
    'with the text to keep elsewhere; no row if there is nothing to seal. A second call waits for the transaction of '
    'the first.';

REVOKE EXECUTE ON FUNCTION eventstream.seal FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.seal, eventstream.kept_seal, eventstream.print_seal, eventstream.seal_digest, eventstream.merkle_root;
DROP TABLE eventstream.seals;
DROP VIEW eventstream.event_digests;
