-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     kind text
--     name text
--     problem text

CREATE VIEW eventstream.audit_privileges WITH (security_invoker=true) AS
 SELECT c.kind,
     c.name,
     c.problem
    FROM eventstream.schema_changes c
   WHERE (c.kind = 'privilege'::text);

COMMENT ON VIEW eventstream.audit_privileges IS 'Rights of PUBLIC, and owners of functions, that are not as they were installed. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_privileges TO eventstream_auditor;
