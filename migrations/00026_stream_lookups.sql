-- +goose Up
-- A lookup by stream_id has one index to use. Where statistics say that streams is empty (a VACUUM right after install), an index that has
-- stream_id as its second column looks as good as the key; the plan is kept, and reads that index from end to end for each lookup, while
-- the table grows. Indexes of a part of the rows, which is all of them, are no choice for a statement that does not name that part.
-- Locks: SHARE on streams while the indexes are built: appends wait. On a large store, do this first, outside a transaction:
--     CREATE INDEX CONCURRENTLY streams_tenant_idx2 ON eventstream.streams (tenant_id, stream_id) WHERE tenant_id > '';
--     CREATE INDEX CONCURRENTLY streams_partition_idx2 ON eventstream.streams (partition_id, stream_id) WHERE partition_id >= 0;
--     DROP INDEX eventstream.streams_tenant_idx, eventstream.streams_partition_idx;
--     ALTER INDEX eventstream.streams_tenant_idx2 RENAME TO streams_tenant_idx;
--     ALTER INDEX eventstream.streams_partition_idx2 RENAME TO streams_partition_idx;
-- and this migration finds its work done.

-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_index AS i WHERE i.indexrelid = 'eventstream.streams_tenant_idx'::regclass AND i.indpred IS NOT NULL
    ) THEN
        DROP INDEX eventstream.streams_tenant_idx;
        CREATE INDEX streams_tenant_idx ON eventstream.streams (tenant_id, stream_id) WHERE tenant_id > '';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_index AS i WHERE i.indexrelid = 'eventstream.streams_partition_idx'::regclass AND i.indpred IS NOT NULL
    ) THEN
        DROP INDEX eventstream.streams_partition_idx;
        CREATE INDEX streams_partition_idx ON eventstream.streams (partition_id, stream_id) WHERE partition_id >= 0;
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON INDEX eventstream.streams_tenant_idx IS
    'Streams of a tenant, in order of stream_id. A prepared statement names the part, tenant_id > '''', which is every row.';
COMMENT ON INDEX eventstream.streams_partition_idx IS
    'Streams of a partition, in order of stream_id. A prepared statement names the part, partition_id >= 0, which is every row.';

-- +goose Down
DROP INDEX eventstream.streams_partition_idx;
DROP INDEX eventstream.streams_tenant_idx;
CREATE INDEX streams_partition_idx ON eventstream.streams (partition_id, stream_id);
CREATE INDEX streams_tenant_idx ON eventstream.streams (tenant_id, stream_id);
COMMENT ON INDEX eventstream.streams_partition_idx IS 'Streams of a partition, in order of stream_id.';
COMMENT ON INDEX eventstream.streams_tenant_idx IS 'Streams of a tenant, in order of stream_id.';
