-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.seals (
    block bigint NOT NULL,
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    last_sequence bigint NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    event_count integer NOT NULL,
    previous_seal bytea NOT NULL,
    skipped_seal bytea NOT NULL,
    merkle_root bytea NOT NULL,
    seal bytea NOT NULL,
    leaves bytea NOT NULL,
    positions bytea NOT NULL,
    CONSTRAINT seals_block_numbered CHECK (block >= 1),
    CONSTRAINT seals_digests_whole CHECK (octet_length(previous_seal) = 32 AND octet_length(skipped_seal) = 32 AND octet_length(merkle_root) = 32 AND octet_length(seal) = 32),
    CONSTRAINT seals_events_counted CHECK (event_count >= 1 AND event_count <= (to_position - from_position + 1) AND last_sequence >= event_count),
    CONSTRAINT seals_leaves_whole CHECK (octet_length(leaves) = (32 * event_count) AND octet_length(positions) = (8 * event_count)),
    CONSTRAINT seals_pkey PRIMARY KEY (block),
    CONSTRAINT seals_positions_ordered CHECK (from_position >= 1 AND to_position >= from_position),
    CONSTRAINT seals_to_position_key UNIQUE (to_position)
);

ALTER TABLE eventstream.seals ALTER COLUMN leaves SET STORAGE EXTERNAL;

COMMENT ON TABLE eventstream.seals IS 'Sealed blocks of the log: digests that show whether the events of a block, and all blocks before it, are as they were. Written by eventstream.seal(), checked by eventstream.verify_seals().';
COMMENT ON COLUMN eventstream.seals.block IS 'Number of the block: 1, 2, 3 ... without a gap.';
COMMENT ON COLUMN eventstream.seals.from_position IS 'First position that it covers: the one after the last block. Nothing at or below to_position can appear later.';
COMMENT ON COLUMN eventstream.seals.to_position IS 'Position of its last event.';
COMMENT ON COLUMN eventstream.seals.last_sequence IS 'Number of events in this block and all before it.';
COMMENT ON COLUMN eventstream.seals.sealed_at IS 'When it was sealed, by the database''s clock.';
COMMENT ON COLUMN eventstream.seals.event_count IS 'Number of events in it.';
COMMENT ON COLUMN eventstream.seals.previous_seal IS 'The seal of the block before; zero bytes in the first one.';
COMMENT ON COLUMN eventstream.seals.skipped_seal IS 'The seal of block & (block - 1), zero bytes if that is 0: a short way back for proofs.';
COMMENT ON COLUMN eventstream.seals.merkle_root IS 'Root of the Merkle tree (RFC 6962) whose leaves are the digests of its events, in order of position.';
COMMENT ON COLUMN eventstream.seals.seal IS 'SHA-256 over the store''s id, the columns before it and both seals: it stands for all history up to to_position.';
COMMENT ON COLUMN eventstream.seals.leaves IS 'Digests of its events, one after the other: they name the event that changed, and shorten proofs.';
COMMENT ON COLUMN eventstream.seals.positions IS 'Positions of its events, 8 bytes each, big-endian: they name the event that is gone.';

CREATE TRIGGER seals_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.seals FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES004', 'a seal is for good', 'Seal what comes next: SELECT * FROM eventstream.seal().');
COMMENT ON TRIGGER seals_append_only ON eventstream.seals IS 'Seals are never changed or removed.';

GRANT SELECT ON TABLE eventstream.seals TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.seals TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.seals TO eventstream_subscriber;
