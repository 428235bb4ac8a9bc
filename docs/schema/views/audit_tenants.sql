-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id eventstream.stream_id
--     version bigint
--     tenant_id eventstream.tenant_id
--     stream_tenant eventstream.tenant_id
--     place text

CREATE VIEW eventstream.audit_tenants AS
 SELECT e.stream_id,
     (e.version)::bigint AS version,
     e.tenant_id,
     s.tenant_id AS stream_tenant,
     'events'::text AS place
    FROM (eventstream.events e
      JOIN eventstream.streams s ON (((s.stream_id)::text = (e.stream_id)::text)))
   WHERE ((e.tenant_id)::text <> (s.tenant_id)::text)
 UNION ALL
  SELECT p.stream_id,
     (p.version)::bigint AS version,
     p.tenant_id,
     s.tenant_id AS stream_tenant,
     'pending_events'::text AS place
    FROM (eventstream.pending_events p
      JOIN eventstream.streams s ON (((s.stream_id)::text = (p.stream_id)::text)))
   WHERE ((p.tenant_id)::text <> (s.tenant_id)::text);

COMMENT ON VIEW eventstream.audit_tenants IS 'Events of another tenant than their stream. Empty when nothing is wrong.';
