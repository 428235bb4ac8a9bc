-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.subscription_shards (
    "position" bigint NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    events bigint DEFAULT 0 NOT NULL,
    member_id bigint,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    shard integer NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    failing_position bigint,
    failing_event uuid,
    failing_since timestamp with time zone,
    tries integer,
    last_error text,
    CONSTRAINT subscription_shards_failure_whole CHECK ((num_nulls(failing_position, failing_since, tries, last_error) = ANY (ARRAY[0, 4])) AND (failing_event IS NULL OR failing_position IS NOT NULL)),
    CONSTRAINT subscription_shards_pkey PRIMARY KEY (subscription, shard),
    CONSTRAINT subscription_shards_position_range CHECK ("position" >= 0),
    CONSTRAINT subscription_shards_subscription_fkey FOREIGN KEY (subscription) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE
);

ALTER TABLE eventstream.subscription_shards ENABLE ROW LEVEL SECURITY;
ALTER TABLE eventstream.subscription_shards SET (fillfactor=50);

COMMENT ON TABLE eventstream.subscription_shards IS 'How far each shard of a subscription has come, and who owns it.';
COMMENT ON COLUMN eventstream.subscription_shards."position" IS 'The checkpoint: all events of the shard up to it are handled.';
COMMENT ON COLUMN eventstream.subscription_shards.epoch IS 'Rises with each change of owner: an owner of an earlier epoch can no longer move the checkpoint.';
COMMENT ON COLUMN eventstream.subscription_shards.events IS 'Events that its owners have handled since the shard was made: when the subscription was created, resharded or reset, and of a projection when its rebuild was done. What was parked and replayed later is not among them.';
COMMENT ON COLUMN eventstream.subscription_shards.member_id IS 'The process that owns it; NULL while nobody does.';
COMMENT ON COLUMN eventstream.subscription_shards.updated_at IS 'When the checkpoint moved last.';
COMMENT ON COLUMN eventstream.subscription_shards.shard IS 'Number of the shard, from 0.';
COMMENT ON COLUMN eventstream.subscription_shards.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_position IS 'Where the event is that the handler fails on, or the first of several; NULL while it does not fail.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_event IS 'The event_id of that event, once it is alone; NULL while it is one of several.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_since IS 'When it first failed at that position.';
COMMENT ON COLUMN eventstream.subscription_shards.tries IS 'How often it failed on that event alone, as far as that counts.';
COMMENT ON COLUMN eventstream.subscription_shards.last_error IS 'What the handler said last.';

CREATE POLICY subscription_shards_all_tenants ON eventstream.subscription_shards TO eventstream_all_tenants USING (true);
COMMENT ON POLICY subscription_shards_all_tenants ON eventstream.subscription_shards IS 'Who is for all tenants sees all rows.';

GRANT SELECT ON TABLE eventstream.subscription_shards TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.subscription_shards TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.subscription_shards TO eventstream_subscriber;
