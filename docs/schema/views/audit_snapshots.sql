-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     name text COLLATE "C"
--     version bigint
--     watermark bigint
--     schema_version integer
--     created_at timestamp with time zone
--     problem text

CREATE VIEW eventstream.audit_snapshots WITH (security_invoker=true) AS
 SELECT s.stream_id,
     s.name,
     s.version,
     l.version AS watermark,
     s.schema_version,
     s.created_at,
     p.problem
    FROM ((eventstream.snapshots s
      LEFT JOIN LATERAL ( SELECT e.version
            FROM eventstream.events e
           WHERE (e.stream_id = s.stream_id)
           ORDER BY e.version DESC
          LIMIT 1) l ON (true))
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN (l.version IS NULL) THEN 'its stream does not exist'::text
                     WHEN (s.version > l.version) THEN 'ahead of its stream'::text
                     WHEN (NOT eventstream.snapshot_holds(s.stream_id, s.version, s.event_id)) THEN 'of another history'::text
                     WHEN (s.digest <> sha256(s.state)) THEN 'its state is damaged'::text
                     ELSE NULL::text
                 END AS problem) p)
   WHERE (p.problem IS NOT NULL);

COMMENT ON VIEW eventstream.audit_snapshots IS 'Snapshots that contradict the events, or whose state is damaged. They are not used, and the next one takes the place of each; but one that is ahead of its stream says that the stream once had more events. Reads every state.';

GRANT SELECT ON TABLE eventstream.audit_snapshots TO eventstream_auditor;
