-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     kind text
--     name text
--     problem text

CREATE VIEW eventstream.audit_triggers WITH (security_invoker=true) AS
 SELECT c.kind,
     c.name,
     c.problem
    FROM eventstream.schema_changes c
   WHERE (c.kind <> 'privilege'::text);

COMMENT ON VIEW eventstream.audit_triggers IS 'Triggers, constraints, columns, functions, views and settings that are missing, disabled, or not as they were installed. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_triggers TO eventstream_auditor;
