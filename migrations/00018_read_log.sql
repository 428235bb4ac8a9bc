-- +goose Up
-- Reading the log by what events are. Readers of everything, or of whole partitions, need no function: positions are indexed.
-- Locks: none. The operator of a store with sparse readers makes the indexes that docs/subscriptions.md lists, concurrently.

CREATE FUNCTION eventstream.category(p_stream_id text) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS $$ SELECT split_part(p_stream_id, '-', 1) COLLATE "C" $$;

COMMENT ON FUNCTION eventstream.category(text) IS 'Category of a stream: its id''s part before the first -; all of it without one.';

-- One statement for all filters: planned for the values at hand (force_custom_plan), it drops those that are not given and takes the index
-- that serves the others.
-- +goose StatementBegin
CREATE FUNCTION eventstream.read_log(
    p_after bigint,
    p_until bigint,
    p_limit integer,
    p_backwards boolean DEFAULT false,
    p_partition_ids integer[] DEFAULT NULL,
    p_category text DEFAULT NULL,
    p_types text[] DEFAULT NULL,
    p_tenant_id text DEFAULT NULL
) RETURNS SETOF eventstream.events
LANGUAGE plpgsql
STABLE
SET search_path = ''
SET plan_cache_mode = force_custom_plan
AS $$
BEGIN
    IF p_backwards THEN
        RETURN QUERY
        SELECT e.*
        FROM eventstream.events AS e
        WHERE e.position > p_after AND e.position <= p_until
            AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
            AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
            AND (p_types IS NULL OR e.type = ANY (p_types))
            AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
        ORDER BY e.position DESC
        LIMIT p_limit;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.*
    FROM eventstream.events AS e
    WHERE e.position > p_after AND e.position <= p_until
        AND (p_partition_ids IS NULL OR e.partition_id = ANY (p_partition_ids))
        AND (p_category IS NULL OR eventstream.category(e.stream_id) = p_category)
        AND (p_types IS NULL OR e.type = ANY (p_types))
        AND (p_tenant_id IS NULL OR e.tenant_id = p_tenant_id)
    ORDER BY e.position
    LIMIT p_limit;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.read_log(bigint, bigint, integer, boolean, integer[], text, text[], text) IS
    'Events above p_after, up to p_until, in order of position, or against it; of some partitions, a category, some types, a tenant. p_until is '
    'a stable position that was read by an earlier statement, or log_state.stable_position.';

-- +goose Down
DROP FUNCTION eventstream.read_log(bigint, bigint, integer, boolean, integer[], text, text[], text);
DROP FUNCTION eventstream.category(text);
