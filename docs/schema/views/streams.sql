-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     partition_id integer
--     tenant_id text COLLATE "C"
--     current_version bigint
--     watermark bigint
--     last_position bigint
--     created_at timestamp with time zone
--     updated_at timestamp with time zone

CREATE VIEW eventstream.streams WITH (security_invoker=true) AS
 SELECT f.stream_id,
     f.partition_id,
     f.tenant_id,
     GREATEST(l.version, w.version) AS current_version,
     l.version AS watermark,
     l."position" AS last_position,
     f.recorded_at AS created_at,
     GREATEST(l.recorded_at, w.received_at) AS updated_at
    FROM ((ONLY eventstream.events f
      CROSS JOIN LATERAL ( SELECT e.version,
             e."position",
             e.recorded_at
            FROM ONLY eventstream.events e
           WHERE (e.stream_id = f.stream_id)
           ORDER BY e.version DESC
          LIMIT 1) l)
      LEFT JOIN LATERAL ( SELECT p.version,
             max(p.received_at) OVER () AS received_at
            FROM eventstream.pending_events p
           WHERE (p.stream_id = f.stream_id)
           ORDER BY p.version DESC
          LIMIT 1) w ON (true))
   WHERE (f.version = 1)
 UNION ALL
  SELECT p.stream_id,
     min(p.partition_id) AS partition_id,
     min(p.tenant_id) AS tenant_id,
     max(p.version) AS current_version,
     0 AS watermark,
     0 AS last_position,
     min(p.received_at) AS created_at,
     max(p.received_at) AS updated_at
    FROM eventstream.pending_events p
   WHERE (NOT (EXISTS ( SELECT
            FROM ONLY eventstream.events e
           WHERE ((e.stream_id = p.stream_id) AND (e.version = 1)))))
   GROUP BY p.stream_id;

COMMENT ON VIEW eventstream.streams IS 'Each stream, and where it stands. Computed from events and pending_events; nothing else says so.';
COMMENT ON COLUMN eventstream.streams.stream_id IS 'Name of the stream, in byte order.';
COMMENT ON COLUMN eventstream.streams.partition_id IS 'Partition of the stream and of every event in it.';
COMMENT ON COLUMN eventstream.streams.tenant_id IS 'Owner of the stream and of every event in it.';
COMMENT ON COLUMN eventstream.streams.current_version IS 'Highest version known, counting those that wait in pending_events; equals the watermark when nothing is missing.';
COMMENT ON COLUMN eventstream.streams.watermark IS 'Highest version up to which every event is present in events; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.last_position IS 'Position of the event at the watermark; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.created_at IS 'When the stream''s first event arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.updated_at IS 'When an event of the stream arrived last, by the database''s clock.';

GRANT SELECT ON TABLE eventstream.streams TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.streams TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.streams TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.streams TO eventstream_tenant;
