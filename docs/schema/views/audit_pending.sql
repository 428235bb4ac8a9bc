-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id eventstream.stream_id
--     first_missing bigint
--     waiting bigint
--     missing bigint
--     since timestamp with time zone
--     problem text

CREATE VIEW eventstream.audit_pending AS
 SELECT COALESCE(s.stream_id, p.stream_id) AS stream_id,
     ((s.watermark)::bigint + 1) AS first_missing,
     COALESCE(p.waiting, (0)::bigint) AS waiting,
     (((s.current_version)::bigint - (s.watermark)::bigint) - COALESCE(p.waiting, (0)::bigint)) AS missing,
     p.since,
         CASE
             WHEN (p.first_version <= (s.watermark)::bigint) THEN 'waits for a version that is there'::text
             WHEN (p.first_version = ((s.watermark)::bigint + 1)) THEN 'waits for nothing: call advance_watermark'::text
             WHEN p.used THEN 'its event id is used by an event elsewhere'::text
             ELSE 'hole'::text
         END AS problem
    FROM (eventstream.streams s
      FULL JOIN ( SELECT w.stream_id,
             count(*) AS waiting,
             min((w.version)::bigint) AS first_version,
             min(w.received_at) AS since,
             bool_or((EXISTS ( SELECT
                    FROM eventstream.events e
                   WHERE (e.event_id = w.event_id)))) AS used
            FROM eventstream.pending_events w
           GROUP BY w.stream_id) p ON (((p.stream_id)::text = (s.stream_id)::text)))
   WHERE (((s.current_version)::bigint > (s.watermark)::bigint) OR (p.stream_id IS NOT NULL));

COMMENT ON VIEW eventstream.audit_pending IS 'Streams with a hole: the first missing version, how many events wait, how many are missing, and since when.';
