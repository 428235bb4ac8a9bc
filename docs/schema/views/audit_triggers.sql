-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     table_name text
--     kind text
--     name text
--     problem text

CREATE VIEW eventstream.audit_triggers AS
 SELECT r.table_name,
     r.kind,
     r.name,
         CASE
             WHEN (COALESCE(t.oid, c.oid, a.attrelid, q.seqrelid) IS NULL) THEN 'missing'::text
             WHEN (t.tgenabled <> ALL (ARRAY['O'::"char", 'A'::"char"])) THEN 'disabled'::text
             WHEN (NOT c.convalidated) THEN 'not validated'::text
             WHEN (NOT (i.indisvalid AND i.indisready)) THEN 'its index is not valid'::text
             WHEN (NOT a.attnotnull) THEN 'may be NULL'::text
             WHEN (a.attrelid IS NOT NULL) THEN format('has type %s instead of %s'::text, format_type(a.atttypid, NULL::integer), r.expected)
             WHEN (q.seqrelid IS NOT NULL) THEN 'gives numbers in advance, or not upwards by one'::text
             ELSE format('is %s instead of %s'::text, COALESCE(pg_get_triggerdef(t.oid), pg_get_constraintdef(c.oid)), r.expected)
         END AS problem
    FROM (((((eventstream.required_objects() r(kind, table_name, name, expected)
      LEFT JOIN pg_trigger t ON (((r.kind = 'trigger'::text) AND (t.tgrelid = (to_regclass(('eventstream.'::text || r.table_name)))::oid) AND (t.tgname = r.name) AND (NOT t.tgisinternal))))
      LEFT JOIN pg_constraint c ON (((c.conname = r.name) AND (((r.kind = 'constraint'::text) AND (c.conrelid = (to_regclass(('eventstream.'::text || r.table_name)))::oid)) OR ((r.kind = 'domain'::text) AND (c.contypid = (to_regtype(('eventstream.'::text || r.table_name)))::oid))))))
      LEFT JOIN pg_index i ON (((c.conindid <> (0)::oid) AND (i.indexrelid = c.conindid))))
      LEFT JOIN pg_attribute a ON (((r.kind = 'column'::text) AND (a.attrelid = (to_regclass(('eventstream.'::text || r.table_name)))::oid) AND (a.attname = r.name) AND (NOT a.attisdropped))))
      LEFT JOIN pg_sequence q ON (((r.kind = 'sequence'::text) AND (q.seqrelid = (to_regclass(('eventstream.'::text || r.name)))::oid))))
   WHERE (NOT COALESCE(
         CASE r.kind
             WHEN 'trigger'::text THEN ((t.tgenabled = ANY (ARRAY['O'::"char", 'A'::"char"])) AND (pg_get_triggerdef(t.oid) = format('CREATE TRIGGER %I %s'::text, r.name, r.expected)))
             WHEN 'column'::text THEN (a.attnotnull AND (format_type(a.atttypid, NULL::integer) = r.expected))
             WHEN 'sequence'::text THEN (concat_ws(' '::text, q.seqincrement, q.seqcache, (q.seqcycle)::text) = r.expected)
             ELSE (c.convalidated AND (pg_get_constraintdef(c.oid) ~~ r.expected) AND COALESCE((i.indisvalid AND i.indisready), true))
         END, false));

COMMENT ON VIEW eventstream.audit_triggers IS 'Triggers, constraints, column types and the sequence that hold the rules, where one is missing, disabled or not validated.';
