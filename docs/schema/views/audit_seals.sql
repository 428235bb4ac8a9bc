-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     block bigint
--     from_position bigint
--     to_position bigint
--     problem text

CREATE VIEW eventstream.audit_seals WITH (security_invoker=true) AS
 SELECT l.block,
     l.from_position,
     l.to_position,
     l.fault AS problem
    FROM eventstream.seal_links l
   WHERE (l.fault IS NOT NULL)
 UNION ALL
  SELECT s.block,
     s.from_position,
     s.to_position,
     'last event missing'::text AS problem
    FROM eventstream.seals s
   WHERE (NOT (EXISTS ( SELECT
            FROM eventstream.events e
           WHERE (e."position" = s.to_position))));

COMMENT ON VIEW eventstream.audit_seals IS 'Seals that do not fit their columns or those before them, or whose last event is gone. A cheap look: whether events changed is for verify_seals() to say. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_seals TO eventstream_auditor;
