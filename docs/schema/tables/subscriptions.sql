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
    tables_id uuid,
    rebuilds text COLLATE "C",
    CONSTRAINT subscriptions_delivery_known CHECK (delivery = ANY (ARRAY['transaction'::text, 'acknowledged'::text, 'projection'::text])),
    CONSTRAINT subscriptions_name_valid CHECK (octet_length(name) <= 128 AND name ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$'::text),
    CONSTRAINT subscriptions_pkey PRIMARY KEY (name),
    CONSTRAINT subscriptions_projection_name_valid CHECK (delivery <> 'projection'::text OR rebuilds IS NOT NULL OR name ~ '^[a-z][a-z0-9_]{0,39}$'::text AND name !~ '^pg_'::text AND (name <> ALL (ARRAY['public'::text, 'eventstream'::text, 'information_schema'::text]))),
    CONSTRAINT subscriptions_rebuilds_fkey FOREIGN KEY (rebuilds) REFERENCES eventstream.subscriptions(name) ON DELETE CASCADE,
    CONSTRAINT subscriptions_shard_count_range CHECK (shard_count >= 1 AND shard_count <= eventstream.partition_count()),
    CONSTRAINT subscriptions_tables_projection CHECK (delivery = 'projection'::text OR tables_id IS NULL AND rebuilds IS NULL)
);

COMMENT ON TABLE eventstream.subscriptions IS 'Who reads the log: one row per subscription, written by subscribe().';
COMMENT ON COLUMN eventstream.subscriptions.name IS 'Name of the subscription.';
COMMENT ON COLUMN eventstream.subscriptions.shard_count IS 'Number of shards; partition p belongs to shard p % shard_count. Only reshard_subscription() changes it.';
COMMENT ON COLUMN eventstream.subscriptions.delivery IS 'transaction: the checkpoint moves in the handler''s transaction (exactly once); acknowledged: after it (at least once); projection: as transaction, and what it writes are tables in a schema of its own.';
COMMENT ON COLUMN eventstream.subscriptions.filter IS 'What it reads: partitions, category, types, tenant; {} is everything.';
COMMENT ON COLUMN eventstream.subscriptions.start IS 'Where it was told to start when it was created.';
COMMENT ON COLUMN eventstream.subscriptions.partition_positions IS 'Partitions that are ahead of the checkpoint of their shard: partition to the position up to which nothing is delivered.';
COMMENT ON COLUMN eventstream.subscriptions.paused IS 'Whether somebody wants that nobody owns its shards; a rebuild leaves it as it is.';
COMMENT ON COLUMN eventstream.subscriptions.created_at IS 'When it was created.';
COMMENT ON COLUMN eventstream.subscriptions.tables_id IS 'Of a projection: which tables its checkpoint is about; their schema carries the same in its comment. NULL while there are none that are complete: nobody owns its shards then, since a checkpoint without tables says nothing.';
COMMENT ON COLUMN eventstream.subscriptions.rebuilds IS 'The projection that is rebuilt through this subscription; NULL for every other one.';

GRANT SELECT ON TABLE eventstream.subscriptions TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.subscriptions TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.subscriptions TO eventstream_subscriber;
