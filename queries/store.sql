-- name: StoreGet :one
-- What this store is.
SELECT s.*
FROM eventstream.store AS s;

-- name: StorePartitionCount :one
-- The partition count, without reading a table.
SELECT eventstream.partition_count()::integer AS partition_count;
