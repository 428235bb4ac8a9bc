-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     kind text
--     name text
--     problem text

CREATE VIEW eventstream.audit_triggers WITH (security_invoker=true) AS
 SELECT COALESCE(r.kind, o.kind) AS kind,
     COALESCE(r.name, o.name) AS name,
         CASE
             WHEN (o.name IS NULL) THEN 'missing'::text
             WHEN (o.fault IS NOT NULL) THEN o.fault
             WHEN (o.kind = ANY (ARRAY['function'::text, 'view'::text])) THEN 'not as it was installed'::text
             ELSE format('not as it was installed: it is now %s'::text, o.definition)
         END AS problem
    FROM (( SELECT DISTINCT ON (q.kind, q.name) q.kind,
             q.name,
             q.digest
            FROM eventstream.schema_record q
           ORDER BY q.kind, q.name, q.recorded_at DESC) r
      LEFT JOIN eventstream.schema_objects o ON (((o.kind = r.kind) AND (o.name = r.name))))
   WHERE ((r.digest IS NOT NULL) AND ((o.name IS NULL) OR (o.fault IS NOT NULL) OR (sha256(convert_to(o.definition, 'UTF8'::name)) <> r.digest)));

COMMENT ON VIEW eventstream.audit_triggers IS 'Triggers, constraints, columns, functions, views and settings that are missing, disabled, or not as they were installed. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_triggers TO eventstream_auditor;
