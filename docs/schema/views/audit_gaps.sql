-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     first_missing bigint
--     last_missing bigint
--     missing bigint

CREATE VIEW eventstream.audit_gaps WITH (security_invoker=true) AS
 SELECT e.stream_id,
     (e.previous_version + 1) AS first_missing,
     (e.version - 1) AS last_missing,
     ((e.version - e.previous_version) - 1) AS missing
    FROM ( SELECT n.stream_id,
             n.version,
             lag(n.version, 1, (0)::bigint) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS previous_version
            FROM eventstream.events n) e
   WHERE (e.version <> (e.previous_version + 1));

COMMENT ON VIEW eventstream.audit_gaps IS 'Versions missing between events of a stream, or before its first. Empty when nothing is wrong. A missing tail shows in audit_sequences.';

GRANT SELECT ON TABLE eventstream.audit_gaps TO eventstream_auditor;
