-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     block bigint
--     stream_id text
--     version bigint
--     "position" bigint
--     problem text

CREATE VIEW eventstream.audit_newest_block WITH (security_invoker=true) AS
 SELECT verify_newest_block.block,
     verify_newest_block.stream_id,
     verify_newest_block.version,
     verify_newest_block."position",
     verify_newest_block.problem
    FROM eventstream.verify_newest_block() verify_newest_block(block, stream_id, version, "position", problem);

COMMENT ON VIEW eventstream.audit_newest_block IS 'Whether the events of the newest sealed block are as they were sealed. Empty when nothing is wrong; all blocks are for verify_seals().';

GRANT SELECT ON TABLE eventstream.audit_newest_block TO eventstream_auditor;
