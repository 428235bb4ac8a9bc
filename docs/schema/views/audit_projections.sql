-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     projection text COLLATE "C"
--     problem text
--     rebuild text COLLATE "C"
--     rebuild_state text
--     rebuild_position bigint
--     last_position bigint
--     rebuild_since timestamp with time zone
--     processes bigint
--     request_state text
--     request_id uuid
--     request_in_place boolean
--     request_shard_count integer
--     requested_by text
--     requested_at timestamp with time zone
--     taken_by text
--     taken_at timestamp with time zone
--     takes integer
--     ended_at timestamp with time zone
--     request_error text

CREATE VIEW eventstream.audit_projections WITH (security_invoker=true) AS
 SELECT s.name AS projection,
         CASE
             WHEN (s.tables_id IS NULL) THEN 'its tables are not complete'::text
             WHEN (NOT p.found) THEN 'its schema does not exist'::text
             WHEN (p.tables_id IS NULL) THEN 'its schema is not marked as its own'::text
             WHEN (p.tables_id <> s.tables_id) THEN 'its checkpoint is not about the tables in its schema'::text
             ELSE NULL::text
         END AS problem,
     r.name AS rebuild,
         CASE
             WHEN (r.name IS NULL) THEN NULL::text
             WHEN b.runs THEN 'running'::text
             ELSE 'interrupted'::text
         END AS rebuild_state,
     h."position" AS rebuild_position,
         CASE
             WHEN (r.name IS NULL) THEN NULL::bigint
             ELSE b.last_position
         END AS last_position,
     r.created_at AS rebuild_since,
     COALESCE(m.processes, (0)::bigint) AS processes,
         CASE
             WHEN (q.projection IS NULL) THEN NULL::text
             WHEN (q.outcome IS NOT NULL) THEN q.outcome
             WHEN (b.runs AND (q.takes > 0)) THEN 'running'::text
             ELSE 'waiting'::text
         END AS request_state,
     q.request_id,
     q.in_place AS request_in_place,
     q.shard_count AS request_shard_count,
     q.requested_by,
     q.requested_at,
     q.taken_by,
     q.taken_at,
     q.takes,
     q.ended_at,
     q.error AS request_error
    FROM ((((((eventstream.subscriptions s
      CROSS JOIN LATERAL eventstream.projection_schema(s.name, s.name) p(found, tables_id))
      CROSS JOIN LATERAL ( SELECT eventstream.is_rebuilding(s.name) AS runs,
             eventstream.last_position() AS last_position) b)
      LEFT JOIN eventstream.subscriptions r ON ((r.rebuilds = s.name)))
      LEFT JOIN LATERAL ( SELECT min(d."position") AS "position"
            FROM eventstream.subscription_shards d
           WHERE (d.subscription = r.name)) h ON (true))
      LEFT JOIN ( SELECT u.name,
             count(*) AS processes
            FROM (eventstream.live_members() l(member_id, subscriptions)
              CROSS JOIN LATERAL unnest(l.subscriptions) u(name))
           GROUP BY u.name) m ON ((m.name = s.name)))
      LEFT JOIN eventstream.rebuild_requests q ON ((q.projection = s.name)))
   WHERE ((s.delivery = 'projection'::text) AND (s.rebuilds IS NULL))
   ORDER BY s.name;

COMMENT ON VIEW eventstream.audit_projections IS 'Projections: what is wrong with the tables of each, if anything is; how far a rebuild of it has come, if one runs or was interrupted; how many processes run it; and what became of the last request to rebuild it (request_state: waiting, running, done, failed or canceled).';

GRANT SELECT ON TABLE eventstream.audit_projections TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.audit_projections TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.audit_projections TO eventstream_subscriber;
