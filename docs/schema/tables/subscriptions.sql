-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.subscriptions (
    name text COLLATE "C" NOT NULL,
    shard_count integer NOT NULL,
    delivery text NOT NULL,
    filter jsonb DEFAULT '{}'::jsonb NOT NULL,
    start jsonb NOT NULL,
    partition_positions jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT subscriptions_delivery_known CHECK (delivery = ANY (ARRAY['transaction'::text, 'acknowledged'::text])),
    CONSTRAINT subscriptions_name_valid CHECK (octet_length(name) <= 128 AND name ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$'::text),
    CONSTRAINT subscriptions_pkey PRIMARY KEY (name),
    CONSTRAINT subscriptions_shard_count_range CHECK (shard_count >= 1 AND shard_count <= eventstream.partition_count())
);

COMMENT ON TABLE eventstream.subscriptions IS 'Who reads the log: one row per subscription, written by subscribe().';
COMMENT ON COLUMN eventstream.subscriptions.name IS 'Name of the subscription.';
COMMENT ON COLUMN eventstream.subscriptions.shard_count IS 'Number of shards; partition p belongs to shard p % shard_count. Only reshard_subscription() changes it.';
COMMENT ON COLUMN eventstream.subscriptions.delivery IS 'transaction: the checkpoint moves in the handler''s transaction (exactly once); acknowledged: after it (at least once).';
COMMENT ON COLUMN eventstream.subscriptions.filter IS 'What it reads: partitions, category, types, tenant; {} is everything.';
COMMENT ON COLUMN eventstream.subscriptions.start IS 'Where it was told to start when it was created.';
COMMENT ON COLUMN eventstream.subscriptions.partition_positions IS 'Partitions that are ahead of the checkpoint of their shard: partition to the position up to which nothing is delivered.';
COMMENT ON COLUMN eventstream.subscriptions.paused IS 'Whether nobody may own its shards, as during a rebuild in place.';
COMMENT ON COLUMN eventstream.subscriptions.created_at IS 'When it was created.';
