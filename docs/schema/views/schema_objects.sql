-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     kind text
--     name text
--     definition text
--     fault text

CREATE VIEW eventstream.schema_objects WITH (security_invoker=true) AS
 SELECT p.kind,
     p.name,
     p.definition,
     p.fault
    FROM eventstream.print_objects() p(kind, name, definition, fault);

COMMENT ON VIEW eventstream.schema_objects IS 'What holds the rules, as it is now: kind, name, definition, and what keeps it from working, if anything does.';

GRANT SELECT ON TABLE eventstream.schema_objects TO eventstream_auditor;
