-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     stream_id eventstream.stream_id
--     first_missing bigint
--     last_missing bigint
--     missing bigint

CREATE VIEW eventstream.audit_gaps AS
 SELECT e.stream_id,
     (e.previous_version + 1) AS first_missing,
     (e.version - 1) AS last_missing,
     ((e.version - e.previous_version) - 1) AS missing
    FROM ( SELECT v.stream_id,
             v.version,
             lag(v.version, 1, (0)::bigint) OVER (PARTITION BY v.stream_id ORDER BY v.version) AS previous_version
            FROM ( SELECT n.stream_id,
                     (n.version)::bigint AS version
                    FROM eventstream.events n) v) e
   WHERE (e.version <> (e.previous_version + 1));

COMMENT ON VIEW eventstream.audit_gaps IS 'Versions missing between events of a stream, or before its first. Empty when nothing is wrong.';
