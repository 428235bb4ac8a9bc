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
           WHERE ((e.stream_id = r.stream_id) AND (e.version = r.version) AND (e.event_id = r.event_id) AND eventstream.is_erased(e.payload, e.data, e.metadata))))));

COMMENT ON VIEW eventstream.audit_erasures IS 'Records of erasures whose event is not erased, or is not there. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_erasures TO eventstream_auditor;
