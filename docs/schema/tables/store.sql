-- Written by "make generate" from migrations/; not edited by hand.

CREATE TABLE eventstream.store (
    store_id uuid DEFAULT gen_random_uuid() NOT NULL,
    partition_count integer DEFAULT eventstream.partition_count() NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT store_partition_count_range CHECK (partition_count >= 1 AND partition_count <= 32768),
    CONSTRAINT store_pkey PRIMARY KEY (store_id)
);

COMMENT ON TABLE eventstream.store IS 'What this store is: one row, written at install, never changed.';
COMMENT ON COLUMN eventstream.store.store_id IS 'Tells this store from every other one.';
COMMENT ON COLUMN eventstream.store.partition_count IS 'Number of partitions, 32 unless chosen otherwise at install; never changes.';
COMMENT ON COLUMN eventstream.store.created_at IS 'When the store was installed.';

CREATE UNIQUE INDEX store_one_row ON eventstream.store USING btree ((true));
COMMENT ON INDEX eventstream.store_one_row IS 'Leaves room for one row.';

CREATE TRIGGER store_frozen BEFORE DELETE OR UPDATE OR TRUNCATE ON eventstream.store FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change('ES009', 'the store''s identity and partition count are chosen at install', 'For another partition count, install a new store and copy the events into it.');
COMMENT ON TRIGGER store_frozen ON eventstream.store IS 'The store row never changes.';

GRANT SELECT ON TABLE eventstream.store TO eventstream_auditor;
GRANT SELECT ON TABLE eventstream.store TO eventstream_reader;
GRANT SELECT ON TABLE eventstream.store TO eventstream_subscriber;
GRANT SELECT ON TABLE eventstream.store TO eventstream_tenant;
