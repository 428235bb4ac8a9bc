-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id eventstream.stream_id
--     current_version bigint
--     watermark bigint
--     last_position bigint
--     events_last_version bigint
--     events_last_position bigint
--     pending_last_version bigint
--     problem text

CREATE VIEW eventstream.audit_heads AS
 SELECT COALESCE(s.stream_id, e.stream_id, p.stream_id) AS stream_id,
     (s.current_version)::bigint AS current_version,
     (s.watermark)::bigint AS watermark,
     s.last_position,
     COALESCE(e.last_version, (0)::bigint) AS events_last_version,
     COALESCE(e.last_position, (0)::bigint) AS events_last_position,
     p.last_version AS pending_last_version,
         CASE
             WHEN (s.stream_id IS NULL) THEN 'events without a head'::text
             WHEN ((s.watermark)::bigint <> COALESCE(e.last_version, (0)::bigint)) THEN 'watermark differs from the last event'::text
             WHEN (s.last_position <> COALESCE(e.last_position, (0)::bigint)) THEN 'last_position differs from the last event'::text
             WHEN ((s.current_version)::bigint = 0) THEN 'head without an event'::text
             ELSE 'current_version differs from the last event known'::text
         END AS problem
    FROM ((eventstream.streams s
      FULL JOIN ( SELECT n.stream_id,
             max((n.version)::bigint) AS last_version,
             max(n."position") AS last_position
            FROM eventstream.events n
           GROUP BY n.stream_id) e ON (((e.stream_id)::text = (s.stream_id)::text)))
      FULL JOIN ( SELECT w.stream_id,
             max((w.version)::bigint) AS last_version
            FROM eventstream.pending_events w
           GROUP BY w.stream_id) p ON (((p.stream_id)::text = (COALESCE(s.stream_id, e.stream_id))::text)))
   WHERE ((s.stream_id IS NULL) OR ((s.watermark)::bigint <> COALESCE(e.last_version, (0)::bigint)) OR (s.last_position <> COALESCE(e.last_position, (0)::bigint)) OR ((s.current_version)::bigint <> GREATEST(COALESCE(e.last_version, (0)::bigint), COALESCE(p.last_version, (0)::bigint))) OR ((s.current_version)::bigint = 0));

COMMENT ON VIEW eventstream.audit_heads IS 'Heads that differ from their events, and events without a head. Empty when nothing is wrong.';
