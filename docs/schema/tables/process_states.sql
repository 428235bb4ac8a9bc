-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.process_states (
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    process text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    state jsonb NOT NULL,
    CONSTRAINT process_states_pkey PRIMARY KEY (process, key)
);

ALTER TABLE eventstream.process_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.process_states SET (fillfactor=80);

COMMENT ON TABLE eventstream.process_states IS 'What process managers know of each key that they are not done with.';
COMMENT ON COLUMN eventstream.process_states.created_at IS 'When the process began for this key.';
COMMENT ON COLUMN eventstream.process_states.updated_at IS 'When the state changed last.';
COMMENT ON COLUMN eventstream.process_states.process IS 'The process manager: the name of its subscription.';
COMMENT ON COLUMN eventstream.process_states.key IS 'What the state is about, as the id of an order.';
COMMENT ON COLUMN eventstream.process_states.state IS 'What the process manager knows.';

CREATE POLICY process_states_all_tenants ON eventstream.process_states TO eventstream_all_tenants USING (true);
COMMENT ON POLICY process_states_all_tenants ON eventstream.process_states IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.process_states TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.process_states TO eventstream_subscriber;
