-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     "position" bigint
--     problem text

CREATE VIEW eventstream.audit_archive WITH (security_invoker=true) AS
 SELECT a.stream_id,
     a.version,
     a."position",
     p.problem
    FROM (eventstream.archived_events a
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN ((EXISTS ( SELECT
                        FROM ONLY eventstream.events e
                       WHERE ((e.stream_id = a.stream_id) AND (e.version = a.version)))) OR (EXISTS ( SELECT
                        FROM ONLY eventstream.events e
                       WHERE (e.event_id = a.event_id))) OR (EXISTS ( SELECT
                        FROM ONLY eventstream.events e
                       WHERE (e."position" = a."position")))) THEN 'in events as well'::text
                     WHEN ((a.version > 2) AND (NOT (EXISTS ( SELECT
                        FROM eventstream.archived_events b
                       WHERE ((b.stream_id = a.stream_id) AND (b.version = (a.version - 1))))))) THEN 'archived without the version before it'::text
                     WHEN (NOT (EXISTS ( SELECT
                        FROM eventstream.events e
                       WHERE ((e.stream_id = a.stream_id) AND (e.version = (a.version + 1)))))) THEN 'the last of its stream, which stays in events'::text
                     ELSE NULL::text
                 END AS problem) p)
   WHERE (p.problem IS NOT NULL)
 UNION ALL
  SELECT k.stream_id,
     k.from_version AS version,
     NULL::bigint AS "position",
     'on record as archived, and not all in the archive'::text AS problem
    FROM eventstream.archivings k
   WHERE (((k.to_version - k.from_version) + 1) <> ( SELECT count(*) AS count
            FROM eventstream.archived_events a
           WHERE ((a.stream_id = k.stream_id) AND (a.version >= k.from_version) AND (a.version <= k.to_version))));

COMMENT ON VIEW eventstream.audit_archive IS 'Archived events that are in events as well, or that archive() would not have moved, and moves on record whose events are not in the archive. Empty when nothing is wrong. Reads the archive whole.';

GRANT SELECT ON TABLE eventstream.audit_archive TO eventstream_auditor;
