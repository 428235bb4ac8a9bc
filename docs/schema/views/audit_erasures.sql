-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     erasure bigint
--     stream_id text COLLATE "C"
--     version bigint
--     "position" bigint
--     problem text

CREATE VIEW eventstream.audit_erasures WITH (security_invoker=true) AS
 SELECT r.erasure,
     r.stream_id,
     r.version,
     r."position",
     p.problem
    FROM (eventstream.erasures r
      CROSS JOIN LATERAL ( SELECT
                 CASE
                     WHEN ((r.reason ~ '[^[:space:]]'::text) IS NOT TRUE) THEN 'on record as erased without a reason'::text
                     WHEN
                     CASE r.place
                         WHEN 'events'::text THEN (NOT (EXISTS ( SELECT
                            FROM eventstream.events e
                           WHERE ((e.stream_id = r.stream_id) AND (e.version = r.version) AND (e.event_id = r.event_id) AND (e."position" = r."position") AND eventstream.is_erased(e.payload, e.data, e.metadata)))))
                         ELSE (NOT (EXISTS ( SELECT
                            FROM eventstream.discarded_events d
                           WHERE ((d.stream_id = r.stream_id) AND (d.version = r.version) AND (d.event_id = r.event_id) AND eventstream.is_erased(d.payload, d.data, d.metadata)))))
                     END THEN 'on record as erased, and not erased'::text
                     WHEN ((r.place = 'events'::text) AND (eventstream.sealed_digest(r."position") <> ( SELECT g.digest
                        FROM eventstream.event_digests g
                       WHERE ((g.stream_id = r.stream_id) AND (g.version = r.version))))) THEN 'on record with digests of something else than what was sealed'::text
                     ELSE NULL::text
                 END AS problem) p)
   WHERE (p.problem IS NOT NULL);

COMMENT ON VIEW eventstream.audit_erasures IS 'Records of erasures without a reason, whose event is not erased or is not there, or whose digests are not those that the event was sealed with. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_erasures TO eventstream_auditor;
