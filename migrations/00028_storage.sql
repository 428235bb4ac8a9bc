-- +goose Up
-- How the two tables that grow are kept: compression of large payloads, and when they are vacuumed and analyzed.
-- Locks: ACCESS EXCLUSIVE on events for a moment, to name the compression; what is stored already stays as it is. SHARE UPDATE EXCLUSIVE
-- for the settings, which no reader or writer waits for.
--
-- The order of columns is as it should be since 00003 and 00004: fixed widths of 8, 16 and 4 bytes come first, and none is padded. Heads have
-- fillfactor 80, and no index on what an append changes, so that their updates stay within the page (HOT) and leave no dead index entries.

-- Payloads of 2 kB and more are compressed: by lz4 in a fifth of the time that PostgreSQL's own method takes, where the server was built
-- with it.
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE eventstream.events
        ALTER COLUMN payload SET COMPRESSION lz4,
        ALTER COLUMN data SET COMPRESSION lz4,
        ALTER COLUMN metadata SET COMPRESSION lz4;
    ALTER TABLE eventstream.pending_events
        ALTER COLUMN payload SET COMPRESSION lz4,
        ALTER COLUMN data SET COMPRESSION lz4,
        ALTER COLUMN metadata SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: payloads are compressed by pglz';
END;
$$;
-- +goose StatementEnd

-- Events are inserted and never changed: a vacuum is for freezing, a little at a time, and for index-only scans. By default the
-- next one would come after a fifth more, which in a large store is years.
ALTER TABLE eventstream.events SET (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.02
);

-- Heads are updated all the time. What pruning leaves is collected early, so that the table stays in memory.
ALTER TABLE eventstream.streams SET (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.02
);

-- +goose Down
ALTER TABLE eventstream.streams RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, autovacuum_analyze_scale_factor
);
ALTER TABLE eventstream.events RESET (
    autovacuum_vacuum_insert_scale_factor, autovacuum_vacuum_insert_threshold, autovacuum_analyze_scale_factor
);
ALTER TABLE eventstream.pending_events
    ALTER COLUMN payload SET COMPRESSION DEFAULT,
    ALTER COLUMN data SET COMPRESSION DEFAULT,
    ALTER COLUMN metadata SET COMPRESSION DEFAULT;
ALTER TABLE eventstream.events
    ALTER COLUMN payload SET COMPRESSION DEFAULT,
    ALTER COLUMN data SET COMPRESSION DEFAULT,
    ALTER COLUMN metadata SET COMPRESSION DEFAULT;
