-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     field text

CREATE VIEW eventstream.audit_values WITH (security_invoker=true) AS
 SELECT e.stream_id,
     e.version,
         CASE
             WHEN (NOT eventstream.is_name(e.stream_id)) THEN 'stream_id'::text
             WHEN (NOT eventstream.is_tenant_id(e.tenant_id)) THEN 'tenant_id'::text
             WHEN (NOT eventstream.is_name(e.type)) THEN 'type'::text
             WHEN (jsonb_typeof(e.metadata) <> 'object'::text) THEN 'metadata'::text
             WHEN (NOT eventstream.is_time(e.occurred_at)) THEN 'occurred_at'::text
             WHEN (e.event_id = '00000000-0000-0000-0000-000000000000'::uuid) THEN 'event_id'::text
             WHEN (octet_length(e.data) > 128000000) THEN 'data'::text
             WHEN (NOT eventstream.is_json(e.payload)) THEN 'payload'::text
             WHEN (NOT eventstream.is_json(e.metadata)) THEN 'metadata'::text
             ELSE 'recorded_at'::text
         END AS field
    FROM eventstream.events e
   WHERE (NOT (eventstream.is_name(e.stream_id) AND eventstream.is_tenant_id(e.tenant_id) AND eventstream.is_name(e.type) AND eventstream.is_content(e.event_id, e.payload, e.data, e.metadata) AND eventstream.is_time(e.occurred_at) AND eventstream.is_time(e.recorded_at)));

COMMENT ON VIEW eventstream.audit_values IS 'Events with a value that the gate would refuse. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_values TO eventstream_auditor;
