-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.timers (
    next_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    set_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    parked_at timestamp with time zone,
    timer_id uuid DEFAULT eventstream.uuid_v7() NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    process text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    payload jsonb DEFAULT 'null'::jsonb NOT NULL,
    metadata jsonb,
    last_error text,
    CONSTRAINT timers_pkey PRIMARY KEY (process, key, name)
);

ALTER TABLE eventstream.timers ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.timers SET (autovacuum_vacuum_scale_factor=0.05);

COMMENT ON TABLE eventstream.timers IS 'What is to happen at a time, set by set_timer() and removed by the transaction that handles it.';
COMMENT ON COLUMN eventstream.timers.next_at IS 'When it is tried: due_at, and after a try that failed the time of the next one.';
COMMENT ON COLUMN eventstream.timers.due_at IS 'When it is due, by the database''s clock.';
COMMENT ON COLUMN eventstream.timers.set_at IS 'When it was set.';
COMMENT ON COLUMN eventstream.timers.parked_at IS 'When it was put aside, since its handler failed too often; NULL while it waits.';
COMMENT ON COLUMN eventstream.timers.timer_id IS 'Identifies the setting: a timer that is set anew has another one. Ids of events that its handler appends are derived from it.';
COMMENT ON COLUMN eventstream.timers.tries IS 'How often its handler failed on it, as far as that counts.';
COMMENT ON COLUMN eventstream.timers.process IS 'Whose timer it is: the name under which its handler runs.';
COMMENT ON COLUMN eventstream.timers.key IS 'What it is about, as the id of an order.';
COMMENT ON COLUMN eventstream.timers.name IS 'Which timer of that key it is.';
COMMENT ON COLUMN eventstream.timers.payload IS 'What its handler gets.';
COMMENT ON COLUMN eventstream.timers.metadata IS 'Where the setting comes from, as a trace; NULL if nobody said.';
COMMENT ON COLUMN eventstream.timers.last_error IS 'What its handler said last; NULL while it has not failed.';

CREATE INDEX timers_next_idx ON eventstream.timers USING btree (process, next_at, key, name) WHERE (parked_at IS NULL);
COMMENT ON INDEX eventstream.timers_next_idx IS 'The timers of a process that are still to come, in order of time.';

CREATE POLICY timers_all_tenants ON eventstream.timers TO eventstream_all_tenants USING (true);
COMMENT ON POLICY timers_all_tenants ON eventstream.timers IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.timers TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.timers TO eventstream_subscriber;
