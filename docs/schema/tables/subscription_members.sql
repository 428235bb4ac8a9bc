-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.subscription_members (
    member_id bigint NOT NULL,
    application text NOT NULL,
    subscriptions text[] NOT NULL,
    joined_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reported_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    CONSTRAINT subscription_members_pkey PRIMARY KEY (member_id)
);

ALTER TABLE eventstream.subscription_members SET (fillfactor=50);

COMMENT ON TABLE eventstream.subscription_members IS 'Processes that run subscriptions. One is alive while its lease lasts and the transaction that holds its lock is open.';
COMMENT ON COLUMN eventstream.subscription_members.member_id IS 'Drawn at random by the process: 1 to 2^48-1.';
COMMENT ON COLUMN eventstream.subscription_members.application IS 'What the process calls itself, for those who watch.';
COMMENT ON COLUMN eventstream.subscription_members.subscriptions IS 'The subscriptions that it runs.';
COMMENT ON COLUMN eventstream.subscription_members.joined_at IS 'When it first reported.';
COMMENT ON COLUMN eventstream.subscription_members.reported_at IS 'When it last reported.';
COMMENT ON COLUMN eventstream.subscription_members.lease_until IS 'When it loses its shards, unless it reports before.';

GRANT SELECT ON TABLE eventstream.subscription_members TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.subscription_members TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.subscription_members TO eventstream_subscriber;
