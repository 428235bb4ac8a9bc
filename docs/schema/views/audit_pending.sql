-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     first_missing bigint
--     waiting bigint
--     missing bigint
--     since timestamp with time zone
--     problem text

CREATE VIEW eventstream.audit_pending WITH (security_invoker=true) AS
 SELECT p.stream_id,
     (COALESCE(l.version, (0)::bigint) + 1) AS first_missing,
     p.waiting,
     ((p.last_version - COALESCE(l.version, (0)::bigint)) - p.waiting) AS missing,
     p.since,
         CASE
             WHEN (p.first_version <= l.version) THEN 'waits for a version that exists: call advance_watermark'::text
             WHEN (p.first_version = (COALESCE(l.version, (0)::bigint) + 1)) THEN 'waits for nothing: call advance_watermark'::text
             WHEN p.used THEN 'its event id is used by an event elsewhere: call advance_watermark'::text
             ELSE 'hole'::text
         END AS problem
    FROM (( SELECT w.stream_id,
             count(*) AS waiting,
             min(w.version) AS first_version,
             max(w.version) AS last_version,
             min(w.received_at) AS since,
             bool_or((( SELECT true
                    FROM eventstream.events e
                   WHERE (e.event_id = w.event_id)
                  LIMIT 1) IS NOT NULL)) AS used
            FROM eventstream.pending_events w
           GROUP BY w.stream_id) p
      LEFT JOIN LATERAL ( SELECT e.version
            FROM ONLY eventstream.events e
           WHERE (e.stream_id = p.stream_id)
           ORDER BY e.version DESC
          LIMIT 1) l ON (true));

COMMENT ON VIEW eventstream.audit_pending IS 'Streams with a hole: the first missing version, how many events wait, how many are missing, and since when.';

GRANT SELECT ON TABLE eventstream.audit_pending TO eventstream_auditor;
