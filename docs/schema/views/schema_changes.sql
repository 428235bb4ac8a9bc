-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     kind text
--     name text
--     severity text
--     problem text

CREATE VIEW eventstream.schema_changes WITH (security_invoker=true) AS
 SELECT COALESCE(r.kind, o.kind) AS kind,
     COALESCE(r.name, o.name) AS name,
         CASE
             WHEN ((r.name IS NULL) AND (o.kind = 'function'::text)) THEN 'warning'::text
             ELSE 'error'::text
         END AS severity,
         CASE
             WHEN (r.name IS NULL) THEN 'not installed by a migration'::text
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
      FULL JOIN eventstream.schema_objects o ON (((o.kind = r.kind) AND (o.name = r.name))))
   WHERE (((r.digest IS NOT NULL) AND (((o.name IS NULL) AND (r.kind <> 'privilege'::text)) OR (o.fault IS NOT NULL) OR (sha256(convert_to(o.definition, 'UTF8'::name)) <> r.digest))) OR ((r.name IS NULL) AND ((o.kind = ANY (ARRAY['function'::text, 'policy'::text])) OR (o.name ~~ 'PUBLIC on column %'::text))));

COMMENT ON VIEW eventstream.schema_changes IS 'What holds the rules and is missing, disabled, not as it was installed, or was not installed: the rows of audit_triggers and audit_privileges.';

GRANT SELECT ON TABLE eventstream.schema_changes TO eventstream_auditor;
