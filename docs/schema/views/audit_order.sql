-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id text COLLATE "C"
--     version bigint
--     "position" bigint
--     previous_version bigint
--     previous_position bigint
--     problem text

CREATE VIEW eventstream.audit_order WITH (security_invoker=true) AS
 SELECT o.stream_id,
     o.version,
     o."position",
     o.previous_version,
     o.previous_position,
         CASE
             WHEN (o."position" <= o.previous_position) THEN 'position not above that of the version before'::text
             ELSE 'position was never drawn'::text
         END AS problem
    FROM ( SELECT e.stream_id,
             e.version,
             e."position",
             lag(e.version) OVER w AS previous_version,
             lag(e."position") OVER w AS previous_position
            FROM eventstream.events e
           WINDOW w AS (PARTITION BY e.stream_id ORDER BY e.version)) o
   WHERE ((o."position" <= o.previous_position) OR (o."position" < 1) OR (o."position" > ( SELECT
                 CASE
                     WHEN q.is_called THEN q.last_value
                     ELSE (0)::bigint
                 END AS "case"
            FROM eventstream.events_position_seq q)));

COMMENT ON VIEW eventstream.audit_order IS 'Events whose position does not rise with the version, or that the sequence never gave: it is behind them. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_order TO eventstream_auditor;
