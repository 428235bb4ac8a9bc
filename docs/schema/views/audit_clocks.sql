-- Written by "make generate" from migrations/; not edited by hand.

-- Columns:
--     "position" bigint
--     stream_id text
--     version bigint
--     recorded_at timestamp with time zone
--     before timestamp with time zone
--     problem text

CREATE VIEW eventstream.audit_clocks WITH (security_invoker=true) AS
 SELECT clock_steps."position",
     clock_steps.stream_id,
     clock_steps.version,
     clock_steps.recorded_at,
     clock_steps.before,
     clock_steps.problem
    FROM eventstream.clock_steps('-9223372036854775808'::bigint) clock_steps("position", stream_id, version, recorded_at, before, problem);

COMMENT ON VIEW eventstream.audit_clocks IS 'Where the database''s clock went back along the log by more than a minute: a clock that was set, another server, or times that somebody wrote. Nothing of the store rests on it, but times of its events do. Empty when nothing is wrong.';

GRANT SELECT ON TABLE eventstream.audit_clocks TO eventstream_auditor;
