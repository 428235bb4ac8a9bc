-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     partition_id integer
--     stream_partition integer
--     problem text

CREATE VIEW eventstream.audit_partitions WITH (security_invoker=true) AS
 SELECT e.stream_id,
     e.version,
     e.partition_id,
     e.stream_partition,
     'event in another partition than its stream'::text AS problem
    FROM ( SELECT n.stream_id,
             n.version,
             n.partition_id,
             first_value(n.partition_id) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS stream_partition
            FROM eventstream.events n) e
   WHERE (e.partition_id <> e.stream_partition)
 UNION ALL
  SELECT p.stream_id,
     p.version,
     p.partition_id,
     s.partition_id AS stream_partition,
     'pending event in another partition than its stream'::text AS problem
    FROM (eventstream.pending_events p
      JOIN eventstream.streams s ON ((s.stream_id = p.stream_id)))
   WHERE (p.partition_id <> s.partition_id)
 UNION ALL
  SELECT e.stream_id,
     e.version,
     e.partition_id,
     e.partition_id AS stream_partition,
     'no such partition in this store'::text AS problem
    FROM eventstream.events e
   WHERE ((e.version = 1) AND ((e.partition_id < 0) OR (e.partition_id > ( SELECT (t.partition_count - 1)
            FROM eventstream.store t))))
 UNION ALL
  SELECT NULL::text AS stream_id,
     NULL::bigint AS version,
     NULL::integer AS partition_id,
     NULL::integer AS stream_partition,
     format('partition_count() is %s, the store has %s'::text, eventstream.partition_count(), COALESCE((t.partition_count)::text, 'no row'::text)) AS problem
    FROM (( SELECT 1 AS "?column?") one
      LEFT JOIN eventstream.store t ON (true))
   WHERE (t.partition_count IS DISTINCT FROM eventstream.partition_count());

COMMENT ON VIEW eventstream.audit_partitions IS 'Events in another partition than their stream, streams in none of the store''s, and a changed count. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_partitions TO eventstream_auditor;
