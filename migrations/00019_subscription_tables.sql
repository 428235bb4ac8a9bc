-- +goose Up
-- Subscriptions: who reads the log, how far each has come, what it could not handle. Everything a subscriber must know
-- is kept here and nothing in a session, so that a subscriber works behind a pooler in transaction mode.
-- Locks: none, everything here is new.

CREATE TABLE eventstream.subscriptions (
    name text COLLATE "C" NOT NULL,
    shard_count integer NOT NULL,
    delivery text NOT NULL,
    filter jsonb NOT NULL DEFAULT '{}',
    start jsonb NOT NULL,
    partition_positions jsonb NOT NULL DEFAULT '{}',
    paused boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tables_id uuid,
    rebuilds text COLLATE "C",
    CONSTRAINT subscriptions_pkey PRIMARY KEY (name),
    -- A rebuild goes with the projection that it is of.
    CONSTRAINT subscriptions_rebuilds_fkey FOREIGN KEY (rebuilds)
        REFERENCES eventstream.subscriptions (name) ON DELETE CASCADE,
    -- 1 to 128 bytes: a letter, then letters, digits and _ - . : /
    CONSTRAINT subscriptions_name_valid CHECK (octet_length(name) <= 128 AND name ~ '^[A-Za-z][A-Za-z0-9_.:/-]*$'),
    -- A shard without a partition would never see an event.
    CONSTRAINT subscriptions_shard_count_range
        CHECK (shard_count >= 1 AND shard_count <= eventstream.partition_count()),
    CONSTRAINT subscriptions_delivery_known CHECK (delivery IN ('transaction', 'acknowledged', 'projection')),
    -- A projection's name is that of a schema: 1 to 40 of a-z, 0-9 and _, a letter first, and none that others own.
    CONSTRAINT subscriptions_projection_name_valid CHECK (
        delivery <> 'projection' OR rebuilds IS NOT NULL
        OR (name ~ '^[a-z][a-z0-9_]{0,39}$' AND name !~ '^pg_'
            AND name NOT IN ('public', 'eventstream', 'information_schema'))),
    CONSTRAINT subscriptions_tables_projection CHECK (delivery = 'projection' OR (tables_id IS NULL AND rebuilds IS NULL))
);

COMMENT ON TABLE eventstream.subscriptions IS 'Who reads the log: one row per subscription, written by subscribe().';
COMMENT ON COLUMN eventstream.subscriptions.name IS 'Name of the subscription.';
COMMENT ON COLUMN eventstream.subscriptions.shard_count IS
    'Number of shards; partition p belongs to shard p % shard_count. Only reshard_subscription() changes it.';
COMMENT ON COLUMN eventstream.subscriptions.delivery IS
    'transaction: the checkpoint moves in the handler''s transaction (exactly once); acknowledged: after it (at least '
    'once); projection: as transaction, and what it writes are tables in a schema of its own.';
COMMENT ON COLUMN eventstream.subscriptions.filter IS
    'What it reads: partitions, category, types, tenant; {} is everything.';
COMMENT ON COLUMN eventstream.subscriptions.start IS 'Where it was told to start when it was created.';
COMMENT ON COLUMN eventstream.subscriptions.partition_positions IS
    'Partitions that are ahead of the checkpoint of their shard: partition to the position up to which nothing is '
    'delivered.';
COMMENT ON COLUMN eventstream.subscriptions.paused IS
    'Whether somebody wants that nobody owns its shards; a rebuild leaves it as it is.';
COMMENT ON COLUMN eventstream.subscriptions.created_at IS 'When it was created.';
COMMENT ON COLUMN eventstream.subscriptions.tables_id IS
    'Of a projection: which tables its checkpoint is about; their schema carries the same in its comment. NULL while '
    'there are none that are complete: nobody owns its shards then, since a checkpoint without tables says nothing.';
COMMENT ON COLUMN eventstream.subscriptions.rebuilds IS
    'The projection that is rebuilt through this subscription; NULL for every other one.';

CREATE TABLE eventstream.subscription_members (
    member_id bigint NOT NULL,
    application text NOT NULL,
    subscriptions text[] NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until timestamptz NOT NULL,
    CONSTRAINT subscription_members_pkey PRIMARY KEY (member_id)
) WITH (fillfactor = 50);

COMMENT ON TABLE eventstream.subscription_members IS
    'Processes that run subscriptions. One is alive while its lease lasts and the transaction that holds its lock is '
    'open.';
COMMENT ON COLUMN eventstream.subscription_members.member_id IS 'Drawn at random by the process: 1 to 2^48-1.';
COMMENT ON COLUMN eventstream.subscription_members.application IS 'What the process calls itself, for those who watch.';
COMMENT ON COLUMN eventstream.subscription_members.subscriptions IS 'The subscriptions that it runs.';
COMMENT ON COLUMN eventstream.subscription_members.joined_at IS 'When it first reported.';
COMMENT ON COLUMN eventstream.subscription_members.reported_at IS 'When it last reported.';
COMMENT ON COLUMN eventstream.subscription_members.lease_until IS 'When it loses its shards, unless it reports before.';

CREATE TABLE eventstream.subscription_shards (
    position bigint NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    member_id bigint,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    shard integer NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    failing_position bigint,
    failing_event uuid,
    failing_since timestamptz,
    tries integer,
    last_error text,
    CONSTRAINT subscription_shards_pkey PRIMARY KEY (subscription, shard),
    CONSTRAINT subscription_shards_subscription_fkey FOREIGN KEY (subscription)
        REFERENCES eventstream.subscriptions (name) ON DELETE CASCADE,
    CONSTRAINT subscription_shards_position_range CHECK (position >= 0),
    -- What a shard fails on is said with all its parts, or not at all; the event, once it is known.
    CONSTRAINT subscription_shards_failure_whole CHECK (
        num_nulls(failing_position, failing_since, tries, last_error) IN (0, 4)
        AND (failing_event IS NULL OR failing_position IS NOT NULL))
) WITH (fillfactor = 50);

COMMENT ON TABLE eventstream.subscription_shards IS 'How far each shard of a subscription has come, and who owns it.';
COMMENT ON COLUMN eventstream.subscription_shards.position IS
    'The checkpoint: all events of the shard up to it are handled.';
COMMENT ON COLUMN eventstream.subscription_shards.epoch IS
    'Rises with each change of owner: an owner of an earlier epoch can no longer move the checkpoint.';
COMMENT ON COLUMN eventstream.subscription_shards.events IS
    'Events that its owners have handled since the shard was made: when the subscription was created, resharded or '
    'reset, and of a projection when its rebuild was done. What was parked and replayed later is not among them.';
COMMENT ON COLUMN eventstream.subscription_shards.member_id IS 'The process that owns it; NULL while nobody does.';
COMMENT ON COLUMN eventstream.subscription_shards.updated_at IS 'When the checkpoint moved last.';
COMMENT ON COLUMN eventstream.subscription_shards.shard IS 'Number of the shard, from 0.';
COMMENT ON COLUMN eventstream.subscription_shards.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_position IS
    'Where the event is that the handler fails on, or the first of several; NULL while it does not fail.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_event IS
    'The event_id of that event, once it is alone; NULL while it is one of several.';
COMMENT ON COLUMN eventstream.subscription_shards.failing_since IS 'When it first failed at that position.';
COMMENT ON COLUMN eventstream.subscription_shards.tries IS
    'How often it failed on that event alone, as far as that counts.';
COMMENT ON COLUMN eventstream.subscription_shards.last_error IS 'What the handler said last.';

CREATE TABLE eventstream.parked_events (
    position bigint NOT NULL,
    version bigint NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    tries integer NOT NULL,
    subscription text COLLATE "C" NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    error text NOT NULL,
    CONSTRAINT parked_events_pkey PRIMARY KEY (subscription, position),
    CONSTRAINT parked_events_subscription_fkey FOREIGN KEY (subscription)
        REFERENCES eventstream.subscriptions (name) ON DELETE CASCADE
);

CREATE INDEX parked_events_stream_idx ON eventstream.parked_events (subscription, stream_id, position);

COMMENT ON TABLE eventstream.parked_events IS
    'Events that a subscription has put aside, because its handler failed on them or on an earlier event of their '
    'stream. They wait to be replayed or skipped.';
COMMENT ON COLUMN eventstream.parked_events.position IS 'Position of the event.';
COMMENT ON COLUMN eventstream.parked_events.version IS 'Its version in its stream.';
COMMENT ON COLUMN eventstream.parked_events.parked_at IS 'When it was put aside.';
COMMENT ON COLUMN eventstream.parked_events.tries IS
    'How often the handler failed on it; 0 if it waits behind another of its stream.';
COMMENT ON COLUMN eventstream.parked_events.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.parked_events.stream_id IS 'Its stream.';
COMMENT ON COLUMN eventstream.parked_events.error IS 'What the handler said last.';
COMMENT ON INDEX eventstream.parked_events_stream_idx IS 'The parked events of a stream, in order.';

CREATE TABLE eventstream.subscription_skips (
    position bigint NOT NULL,
    skipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    subscription text COLLATE "C" NOT NULL,
    skipped_by text NOT NULL DEFAULT session_user,
    reason text NOT NULL,
    CONSTRAINT subscription_skips_pkey PRIMARY KEY (subscription, position),
    -- Whoever skips an event says why.
    CONSTRAINT subscription_skips_reason_given CHECK (reason ~ '[^[:space:]]')
);

COMMENT ON TABLE eventstream.subscription_skips IS
    'Events that a subscription shall not handle, by the decision of a person: whose, when and why. Rows outlive the '
    'subscription.';
COMMENT ON COLUMN eventstream.subscription_skips.position IS 'Position of the event.';
COMMENT ON COLUMN eventstream.subscription_skips.skipped_at IS 'When it was skipped.';
COMMENT ON COLUMN eventstream.subscription_skips.subscription IS 'The subscription.';
COMMENT ON COLUMN eventstream.subscription_skips.skipped_by IS 'The database user who skipped it.';
COMMENT ON COLUMN eventstream.subscription_skips.reason IS 'Why, in the words of the person who skipped it.';

CREATE TRIGGER subscription_skips_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.subscription_skips
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'what was skipped stays on record', 'Skip an event with eventstream.skip_event.');

COMMENT ON TRIGGER subscription_skips_frozen ON eventstream.subscription_skips IS 'Skips stay on record.';

-- +goose Down
DROP TABLE eventstream.subscription_skips;
DROP TABLE eventstream.parked_events;
DROP TABLE eventstream.subscription_shards;
DROP TABLE eventstream.subscription_members;
DROP TABLE eventstream.subscriptions;
