-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     last_position bigint
--     stable_position bigint
--     behind bigint
--     kept_position bigint
--     kept_at timestamp with time zone
--     held_position bigint
--     pid integer
--     application text
--     age interval
--     query_start timestamp with time zone
--     state text
--     query text

CREATE VIEW eventstream.audit_log WITH (security_invoker=true) AS
 SELECT p.last_position,
     p.stable_position,
     (p.last_position - p.stable_position) AS behind,
     l.stable_position AS kept_position,
     l.updated_at AS kept_at,
     h.held_position,
     h.pid,
     a.application_name AS application,
     (clock_timestamp() - a.xact_start) AS age,
     a.query_start,
     a.state,
     a.query
    FROM (((( SELECT s.stable_position,
             eventstream.last_position() AS last_position
            FROM ( SELECT eventstream.stable_position() AS stable_position
                  OFFSET 0) s) p
      JOIN eventstream.log_state l ON ((l.lane = 0)))
      LEFT JOIN ( SELECT k.pid,
             min(((((k.classid)::bigint & (65535)::bigint) << 32) | (k.objid)::bigint)) AS held_position
            FROM pg_locks k
           WHERE ((k.locktype = 'advisory'::text) AND (((k.classid)::bigint >> 16) = 17747) AND (k.objsubid = 1) AND (k.database = ( SELECT d.oid
                    FROM pg_database d
                   WHERE (d.datname = current_database()))))
           GROUP BY k.pid, k.virtualtransaction) h ON ((h.held_position < p.last_position)))
      LEFT JOIN pg_stat_activity a ON ((a.pid = h.pid)))
   ORDER BY h.held_position, h.pid;

COMMENT ON VIEW eventstream.audit_log IS 'How far the log is stable, and behind whom: a row for each transaction that holds positions, the one that holds the lowest first, or a single row without a holder. pid is NULL for a prepared transaction.';

GRANT SELECT ON TABLE eventstream.audit_log TO eventstream_auditor;
