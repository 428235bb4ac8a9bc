-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     "position" bigint
--     problem text

CREATE VIEW eventstream.audit_erasures WITH (security_invoker=true) AS
 SELECT r.stream_id,
     r.version,
     r."position",
     'on record as erased, and not erased'::text AS problem
    FROM eventstream.erasures r
   WHERE ((r.place = 'events'::text) AND (NOT (EXISTS ( SELECT
            FROM eventstream.events e
           WHERE ((e.stream_id = r.stream_id) AND (e.version = r.version) AND (e.event_id = r.event_id) AND eventstream.is_erased(e.payload, e.data, e.metadata))))))
 UNION ALL
  SELECT e.stream_id,
     e.version,
     e."position",
     'erased, and not on record'::text AS problem
    FROM eventstream.events e
   WHERE (eventstream.is_erased(e.payload, e.data, e.metadata) AND (NOT (EXISTS ( SELECT
            FROM eventstream.erasures r
           WHERE ((r.stream_id = e.stream_id) AND (r.version = e.version) AND (r.event_id = e.event_id) AND (r.place = 'events'::text))))));

COMMENT ON VIEW eventstream.audit_erasures IS 'Events that were erased without a record of it, and records of erasures whose event is not erased. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_erasures TO eventstream_auditor;
