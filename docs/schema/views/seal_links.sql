-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     block bigint
--     from_position bigint
--     to_position bigint
--     whole boolean
--     fault text

CREATE VIEW eventstream.seal_links WITH (security_invoker=true) AS
 SELECT s.block,
     s.from_position,
     s.to_position,
     (NOT (s.seal IS DISTINCT FROM eventstream.seal_digest(( SELECT t.store_id
            FROM eventstream.store t), s.block, s.from_position, s.to_position, s.last_sequence, s.sealed_at, s.event_count, s.previous_seal, s.skipped_seal, s.merkle_root))) AS whole,
         CASE
             WHEN (s.seal IS DISTINCT FROM eventstream.seal_digest(( SELECT t.store_id
                FROM eventstream.store t), s.block, s.from_position, s.to_position, s.last_sequence, s.sealed_at, s.event_count, s.previous_seal, s.skipped_seal, s.merkle_root)) THEN 'seal changed'::text
             WHEN ((s.block > 1) AND (p.block IS NULL)) THEN 'seal before it missing'::text
             WHEN ((s.previous_seal <> COALESCE(p.seal, decode(repeat('00'::text, 32), 'hex'::text))) OR (s.from_position <> (COALESCE(p.to_position, (0)::bigint) + 1)) OR (s.last_sequence <> (COALESCE(p.last_sequence, (0)::bigint) + s.event_count))) THEN 'does not follow the seal before it'::text
             WHEN (s.skipped_seal <>
             CASE
                 WHEN ((s.block & (s.block - 1)) = 0) THEN decode(repeat('00'::text, 32), 'hex'::text)
                 ELSE k.seal
             END) THEN 'does not follow the seal that it skips to'::text
             ELSE NULL::text
         END AS fault
    FROM ((eventstream.seals s
      LEFT JOIN eventstream.seals p ON ((p.block = (s.block - 1))))
      LEFT JOIN eventstream.seals k ON ((k.block = (s.block & (s.block - 1)))));

COMMENT ON VIEW eventstream.seal_links IS 'Whether each seal fits its columns (whole) and those before it; fault says how it does not. Reads no events.';

GRANT SELECT ON TABLE eventstream.seal_links TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.seal_links TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.seal_links TO eventstream_subscriber;
