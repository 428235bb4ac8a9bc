-- +goose Up
-- Creating and changing subscriptions.
-- Locks: none at install. At run time the rows of one subscription.
-- +goose StatementBegin

-- Locked, so that owners of its shards, and processes that want to claim one, wait until this transaction ends. Owners
-- from before it can no longer move their checkpoints.
CREATE FUNCTION eventstream.fence_subscription(p_name text) RETURNS eventstream.subscriptions
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    END IF;
    UPDATE eventstream.subscription_shards AS h SET epoch = h.epoch + 1, member_id = NULL WHERE h.subscription = p_name;
    RETURN v_is;
END;
$$;

COMMENT ON FUNCTION eventstream.fence_subscription IS
    'Takes the shards of a subscription from their owners; ES010 if it is unknown.';

CREATE FUNCTION eventstream.partition_checkpoints(p_name text) RETURNS jsonb
LANGUAGE sql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_object_agg(p.id, greatest(h.position, coalesce((s.partition_positions ->> p.id::text)::bigint, 0)))
    FROM eventstream.subscriptions AS s
    CROSS JOIN generate_series(0, eventstream.partition_count() - 1) AS p (id)
    JOIN eventstream.subscription_shards AS h ON h.subscription = s.name AND h.shard = p.id % s.shard_count
    WHERE s.name = p_name
$$;

COMMENT ON FUNCTION eventstream.partition_checkpoints IS
    'Position of each partition of a subscription: the checkpoint of its shard, or one ahead of it.';

-- A shard begins where the hindmost of its partitions does; subscriptions.partition_positions keeps those that are
-- ahead.
CREATE FUNCTION eventstream.lay_out_shards(
    p_name text,
    p_shard_count integer,
    p_checkpoint bigint,
    p_positions jsonb,
    p_epoch bigint
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_apart jsonb;
BEGIN
    INSERT INTO eventstream.subscription_shards (subscription, shard, position, epoch)
    SELECT
        p_name,
        p.id % p_shard_count,
        min(greatest(p_checkpoint, coalesce((p_positions ->> p.id::text)::bigint, 0))),
        p_epoch
    FROM generate_series(0, eventstream.partition_count() - 1) AS p (id)
    GROUP BY p.id % p_shard_count
    ORDER BY p.id % p_shard_count;
    SELECT jsonb_object_agg(p.key, p.value) INTO v_apart
    FROM jsonb_each_text(p_positions) AS p
    JOIN eventstream.subscription_shards AS s ON s.subscription = p_name AND s.shard = p.key::integer % p_shard_count
    WHERE p.value::bigint > s.position;
    UPDATE eventstream.subscriptions AS s
    SET partition_positions = coalesce(
        (SELECT jsonb_object_agg(a.key, a.value::bigint) FROM jsonb_each_text(v_apart) AS a), '{}')
    WHERE s.name = p_name;
END;
$$;

COMMENT ON FUNCTION eventstream.lay_out_shards IS
    'Makes the shards of a subscription, given the position of each partition; those not given are at p_checkpoint.';

CREATE FUNCTION eventstream.remove_shards(p_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_epoch bigint;
BEGIN
    WITH gone AS (
        DELETE FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name RETURNING h.epoch
    )
    SELECT max(g.epoch) INTO v_epoch FROM gone AS g;
    RETURN v_epoch;
END;
$$;

COMMENT ON FUNCTION eventstream.remove_shards IS
    'Removes the shards of a fenced subscription. Returns their highest epoch.';

CREATE FUNCTION eventstream.check_shard_count(p_shard_count integer) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_shard_count NOT BETWEEN 1 AND eventstream.partition_count() THEN
        PERFORM eventstream.refuse_value('shard count', p_shard_count::text,
            format('from 1 to %s, the store''s partition count', eventstream.partition_count()));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.check_shard_count IS
    'Raises ES008 for a number of shards that is below 1 or above partition_count(); NULL is none given.';

CREATE FUNCTION eventstream.create_subscription(
    p_name text,
    p_shard_count integer,
    p_delivery text,
    p_filter jsonb,
    p_start jsonb,
    p_tables_id uuid DEFAULT NULL,
    p_rebuilds text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stable bigint;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    -- Two processes may create it at once: the second one waits here, and is told that it was not the first.
    INSERT INTO eventstream.subscriptions AS s (name, shard_count, delivery, filter, start, tables_id, rebuilds)
    VALUES (p_name, p_shard_count, p_delivery, p_filter, p_start, p_tables_id, p_rebuilds)
    ON CONFLICT ON CONSTRAINT subscriptions_pkey DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_stable := eventstream.stable_position();
    -- The first epoch is the transaction's number, so that an epoch from before a subscription was deleted never
    -- comes again.
    PERFORM eventstream.lay_out_shards(p_name, p_shard_count,
        eventstream.start_checkpoint(p_start, v_stable), eventstream.start_partitions(p_start, v_stable),
        pg_current_xact_id()::text::bigint);
    RETURN true;
END;
$$;

COMMENT ON FUNCTION eventstream.create_subscription IS
    'Creates a subscription with its shards (true), unless there is one of that name.';

CREATE FUNCTION eventstream.subscribe(
    p_name text,
    p_shard_count integer,
    p_delivery text,
    p_filter jsonb,
    p_start jsonb
) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions;
    v_difference text;
BEGIN
    -- An existing subscription could be found without a write, but its checkpoints could not move.
    IF current_setting('transaction_read_only')::boolean THEN
        RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction',
            MESSAGE = format('subscription %L cannot run in a read-only transaction', p_name),
            HINT = 'Run it on the primary.';
    END IF;
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name;
    IF NOT FOUND THEN
        -- A projection comes with its tables: create_projection() makes both.
        IF p_delivery = 'projection' THEN
            PERFORM eventstream.refuse_unknown_subscription(p_name);
        END IF;
        IF eventstream.create_subscription(p_name, p_shard_count, p_delivery, p_filter, p_start) THEN
            RETURN true;
        END IF;
        -- Another process was first, and has committed.
        SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name;
    END IF;
    v_difference := CASE
        WHEN v_is.shard_count <> p_shard_count THEN format('shard count %s, now %s', v_is.shard_count, p_shard_count)
        WHEN v_is.delivery <> p_delivery THEN format('delivery %s, now %s', v_is.delivery, p_delivery)
        WHEN v_is.filter <> p_filter THEN format('filter %s, now %s', v_is.filter, p_filter)
    END;
    IF v_difference IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L was created with %s', p_name, v_difference),
            jsonb_build_object('subscription', p_name, 'difference', v_difference,
                'is', jsonb_build_object(
                    'shard_count', v_is.shard_count, 'delivery', v_is.delivery, 'filter', v_is.filter),
                'wanted', jsonb_build_object(
                    'shard_count', p_shard_count, 'delivery', p_delivery, 'filter', p_filter)),
            'Use the configuration that it was created with, change its shards with '
            'eventstream.reshard_subscription(), or give it another name.'
            || CASE WHEN v_is.delivery = 'projection' THEN ' A projection takes over another filter when it is rebuilt.'
                ELSE '' END);
    END IF;
    RETURN false;
END;
$$;

COMMENT ON FUNCTION eventstream.subscribe IS
    'Creates a subscription (true), or finds one as described (false); ES011 if the one of that name differs. p_start '
    'counts only at creation. A projection is created by create_projection().';

CREATE FUNCTION eventstream.reshard_subscription(p_name text, p_shard_count integer) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions;
    v_positions jsonb;
BEGIN
    PERFORM eventstream.check_shard_count(p_shard_count);
    v_is := eventstream.fence_subscription(p_name);
    v_positions := eventstream.partition_checkpoints(p_name);
    UPDATE eventstream.subscriptions AS s SET shard_count = p_shard_count WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, p_shard_count, 0, v_positions, eventstream.remove_shards(p_name));
END;
$$;

COMMENT ON FUNCTION eventstream.reshard_subscription IS
    'Gives a subscription another number of shards. Each partition continues where it was; owners lose their shards, '
    'and claim new ones once they are configured with the new number.';

CREATE FUNCTION eventstream.reset_subscription(p_name text, p_start jsonb) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
    v_stable bigint := eventstream.stable_position();
BEGIN
    IF v_is.delivery = 'projection' THEN
        PERFORM eventstream.refuse_tables(p_name,
            'a reset would apply every event once more to tables that hold it already', 'Rebuild the projection.');
    END IF;
    DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
    UPDATE eventstream.subscriptions AS s SET start = p_start WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, v_is.shard_count, eventstream.start_checkpoint(p_start, v_stable),
        eventstream.start_partitions(p_start, v_stable), eventstream.remove_shards(p_name));
END;
$$;

COMMENT ON FUNCTION eventstream.reset_subscription IS
    'Starts a subscription anew from p_start; what it had parked is forgotten. ES016 for a projection, which is '
    'rebuilt instead.';

CREATE FUNCTION eventstream.pause_subscription(p_name text, p_paused boolean) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
BEGIN
    IF v_is.delivery = 'projection' AND v_is.tables_id IS NULL AND NOT p_paused THEN
        PERFORM eventstream.refuse_tables(p_name, 'its tables are not complete',
            'Let its rebuild finish, or rebuild it again if that was interrupted.');
    END IF;
    UPDATE eventstream.subscriptions AS s SET paused = p_paused WHERE s.name = v_is.name;
END;
$$;

COMMENT ON FUNCTION eventstream.pause_subscription IS
    'Takes the shards from their owners; while p_paused is set, nobody can claim them. ES016 for a projection that '
    'would go on without complete tables.';

-- The last step of a rebuild: from now on the work of the new subscription goes by the old name.
CREATE FUNCTION eventstream.replace_subscription(p_name text, p_by text, p_shard_count integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
    v_by eventstream.subscriptions := eventstream.fence_subscription(p_by);
    v_shard_count integer := coalesce(p_shard_count, v_is.shard_count);
    v_positions jsonb := eventstream.partition_checkpoints(p_by);
    v_epoch bigint := greatest(eventstream.remove_shards(p_name), eventstream.remove_shards(p_by));
BEGIN
    IF v_shard_count NOT BETWEEN 1 AND eventstream.partition_count() THEN
        PERFORM eventstream.refuse_value('shard count', v_shard_count::text,
            format('from 1 to %s, the store''s partition count', eventstream.partition_count()));
    END IF;
    IF v_is.delivery = 'projection' THEN
        PERFORM eventstream.refuse_foreign_tables(p_name, p_by, v_by.rebuilds, v_by.tables_id);
    ELSIF v_is.filter <> v_by.filter OR v_is.delivery <> v_by.delivery THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L was created with filter %s and delivery %s, %L with %s and %s',
                p_name, v_is.filter, v_is.delivery, p_by, v_by.filter, v_by.delivery),
            jsonb_build_object('subscription', p_name,
                'difference', format('filter %s and delivery %s, now %s and %s',
                    v_is.filter, v_is.delivery, v_by.filter, v_by.delivery)),
            'Only a subscription that differs in its shards alone can take the place of another.');
    END IF;
    DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
    UPDATE eventstream.parked_events AS k SET subscription = p_name WHERE k.subscription = p_by;
    DELETE FROM eventstream.subscriptions AS s WHERE s.name = p_by;
    UPDATE eventstream.subscriptions AS s
    SET shard_count = v_shard_count,
        filter = v_by.filter,
        tables_id = v_by.tables_id
    WHERE s.name = p_name;
    PERFORM eventstream.lay_out_shards(p_name, v_shard_count, 0, v_positions, v_epoch);
END;
$$;

COMMENT ON FUNCTION eventstream.replace_subscription IS
    'Lets p_name continue where p_by is, with p_shard_count shards or as many as it has, and removes p_by. A '
    'projection takes over the filter and the tables of its rebuild, which are in place by then.';

CREATE FUNCTION eventstream.delete_subscription(p_name text) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions := eventstream.fence_subscription(p_name);
BEGIN
    DELETE FROM eventstream.subscriptions AS s WHERE s.name = v_is.name;
END;
$$;

COMMENT ON FUNCTION eventstream.delete_subscription IS
    'Removes a subscription, its checkpoints and what it had parked; what was skipped stays on record. ES010 if it is '
    'unknown.';

REVOKE EXECUTE ON FUNCTION
    eventstream.check_shard_count, eventstream.fence_subscription, eventstream.partition_checkpoints,
    eventstream.lay_out_shards, eventstream.remove_shards, eventstream.create_subscription, eventstream.subscribe,
    eventstream.reshard_subscription, eventstream.reset_subscription, eventstream.pause_subscription,
    eventstream.replace_subscription, eventstream.delete_subscription
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.delete_subscription, eventstream.replace_subscription, eventstream.pause_subscription,
    eventstream.reset_subscription, eventstream.reshard_subscription, eventstream.subscribe,
    eventstream.create_subscription, eventstream.remove_shards, eventstream.lay_out_shards,
    eventstream.partition_checkpoints, eventstream.fence_subscription, eventstream.check_shard_count;
