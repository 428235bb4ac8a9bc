-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     key_id uuid
--     subject text COLLATE "C"
--     forgotten_at timestamp with time zone
--     problem text

CREATE VIEW eventstream.audit_subject_keys WITH (security_invoker=true) AS
 SELECT k.key_id,
     k.subject,
     f.forgotten_at,
     'key of a forgotten subject is back'::text AS problem
    FROM (eventstream.subject_keys k
      JOIN eventstream.forgotten_subjects f ON ((f.key_id = k.key_id)));

COMMENT ON VIEW eventstream.audit_subject_keys IS 'Keys that were forgotten and are there again, as after the restore of a table. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_subject_keys TO eventstream_auditor;
