-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     partition_id integer
--     "position" bigint
--     sequence bigint
--     next_position bigint
--     next_sequence bigint
--     events bigint
--     problem text

CREATE VIEW eventstream.audit_sequences WITH (security_invoker=true) AS
 SELECT NULL::integer AS partition_id,
     m."position",
     m.sequence,
     m.next_position,
     m.next_sequence,
     (c.events + r.events) AS events,
         CASE
             WHEN ((c.events + r.events) <> (m.next_sequence - m.sequence)) THEN 'sequence numbers and events differ in number'::text
             ELSE 'a hole without a mark'::text
         END AS problem
    FROM ((( SELECT k."position",
             k.sequence,
             lead(k."position") OVER w AS next_position,
             lead(k.sequence) OVER w AS next_sequence
            FROM ( SELECT (0)::bigint AS "position",
                     (0)::bigint AS sequence
                 UNION
                  SELECT g."position",
                     g.sequence
                    FROM eventstream.log_marks g
                 UNION
                  SELECT l.stable_position,
                     l.last_sequence
                    FROM eventstream.log_state l) k
           WINDOW w AS (ORDER BY k."position", k.sequence)) m
      CROSS JOIN LATERAL ( SELECT count(*) AS events,
             max(e."position") AS last_position
            FROM eventstream.events e
           WHERE ((e."position" > m."position") AND (e."position" <= m.next_position))) c)
      CROSS JOIN LATERAL ( SELECT count(*) AS events,
             max(g."position") AS last_position
            FROM eventstream.partition_marks g
           WHERE (g.removed AND (g."position" > m."position") AND (g."position" <= m.next_position) AND (NOT (EXISTS ( SELECT
                    FROM eventstream.events e
                   WHERE (e."position" = g."position")))))) r)
   WHERE ((m.next_position IS NOT NULL) AND (((c.events + r.events) <> (m.next_sequence - m.sequence)) OR (GREATEST(c.last_position, r.last_position) <> ((m."position" + m.next_sequence) - m.sequence))))
 UNION ALL
  SELECT m.partition_id,
     m."position",
     m.sequence,
     m.next_position,
     m.next_sequence,
     (c.events + r.events) AS events,
     'sequence numbers and events differ in number'::text AS problem
    FROM ((( SELECT k.partition_id,
             k."position",
             k.sequence,
             lead(k."position") OVER w AS next_position,
             lead(k.sequence) OVER w AS next_sequence
            FROM ( SELECT g.partition_id,
                     g."position",
                     g.sequence
                    FROM eventstream.partition_marks g
                 UNION ALL
                  SELECT DISTINCT g.partition_id,
                     (0)::bigint AS int8,
                     (0)::bigint AS int8
                    FROM eventstream.partition_marks g) k
           WINDOW w AS (PARTITION BY k.partition_id ORDER BY k."position")) m
      CROSS JOIN LATERAL ( SELECT count(*) AS events
            FROM eventstream.events e
           WHERE ((e.partition_id = m.partition_id) AND (e."position" > m."position") AND (e."position" <= m.next_position))) c)
      CROSS JOIN LATERAL ( SELECT count(*) AS events
            FROM eventstream.partition_marks g
           WHERE (g.removed AND (g.partition_id = m.partition_id) AND (g."position" > m."position") AND (g."position" <= m.next_position) AND (NOT (EXISTS ( SELECT
                    FROM eventstream.events e
                   WHERE (e."position" = g."position")))))) r)
   WHERE ((m.next_position IS NOT NULL) AND ((c.events + r.events) <> (m.next_sequence - m.sequence)));

COMMENT ON VIEW eventstream.audit_sequences IS 'Marks whose sequence numbers do not fit the events; partition_id is NULL for the whole log. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_sequences TO eventstream_auditor;
