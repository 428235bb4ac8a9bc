-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     tenant_id text COLLATE "C"
--     stream_tenant text COLLATE "C"
--     place text

CREATE VIEW eventstream.audit_tenants WITH (security_invoker=true) AS
 SELECT e.stream_id,
     e.version,
     e.tenant_id,
     e.stream_tenant,
     'events'::text AS place
    FROM ( SELECT n.stream_id,
             n.version,
             n.tenant_id,
             first_value(n.tenant_id) OVER (PARTITION BY n.stream_id ORDER BY n.version) AS stream_tenant
            FROM eventstream.events n) e
   WHERE (e.tenant_id <> e.stream_tenant)
 UNION ALL
  SELECT p.stream_id,
     p.version,
     p.tenant_id,
     s.tenant_id AS stream_tenant,
     'pending_events'::text AS place
    FROM (eventstream.pending_events p
      JOIN eventstream.streams s ON ((s.stream_id = p.stream_id)))
   WHERE (p.tenant_id <> s.tenant_id);

COMMENT ON VIEW eventstream.audit_tenants IS 'Events of another tenant than their stream''s first event. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_tenants TO eventstream_auditor;
