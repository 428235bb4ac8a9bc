-- +goose Up
-- Projections: tables that a subscription fills, in a schema of their own, and the checkpoint that says what is in
-- them. The two belong together: the row of the subscription names its tables by an id (tables_id), and the schema
-- carries the same id in its comment. What has no such comment is somebody else's, and is never dropped, renamed or
-- adopted.
-- Locks: none at install. At run time the rows of one projection; a rebuild also holds an advisory lock while it runs.
-- +goose StatementBegin

-- 'ER', then 48 bits of the name: it must not look like the key of a writer in flight or of a member.
CREATE FUNCTION eventstream.rebuild_key(p_name text) RETURNS bigint
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN 4995054936707301376 | (hashtextextended(p_name COLLATE "C", 0) & 281474976710655);

COMMENT ON FUNCTION eventstream.rebuild_key IS
    'Key of the advisory lock that a process holds, for a transaction, while it rebuilds a projection.';

CREATE FUNCTION eventstream.is_rebuilding(p_name text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM pg_catalog.pg_locks AS k
        WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
            AND (k.classid::bigint << 32) | k.objid::bigint = eventstream.rebuild_key(p_name)
            AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()));
END;
$$;

COMMENT ON FUNCTION eventstream.is_rebuilding IS 'Whether somebody rebuilds a projection at this moment.';

CREATE FUNCTION eventstream.projection_mark(p_name text, p_tables_id uuid) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN 'Gapless projection ' || p_name || ', tables ' || p_tables_id::text;

COMMENT ON FUNCTION eventstream.projection_mark IS
    'The comment of a schema that holds tables of a projection: whose, and which.';

-- In the snapshot of the calling query, so that a schema and the row that belongs to it are seen as of one moment.
CREATE FUNCTION eventstream.projection_schema(p_schema text, p_name text) RETURNS TABLE (
    found boolean,
    tables_id uuid
)
LANGUAGE plpgsql
STABLE
ROWS 1
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT m.oid IS NOT NULL, CASE WHEN m.description = eventstream.projection_mark(p_name, m.marked) THEN m.marked END
    FROM (SELECT) AS one
    LEFT JOIN (
        SELECT
            n.oid,
            d.description,
            substring(d.description FROM '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$')::uuid AS marked
        FROM pg_catalog.pg_namespace AS n
        LEFT JOIN pg_catalog.pg_description AS d
            ON d.objoid = n.oid AND d.classoid = 'pg_catalog.pg_namespace'::regclass AND d.objsubid = 0
        WHERE n.nspname = p_schema
    ) AS m ON true;
END;
$$;

COMMENT ON FUNCTION eventstream.projection_schema IS
    'Whether a schema exists, and which tables of a projection it holds by its mark; NULL if it is not marked as that '
    'projection''s.';

CREATE FUNCTION eventstream.refuse_tables(p_name text, p_problem text, p_advice text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES016',
        format('projection %L: %s', p_name, p_problem),
        jsonb_build_object('subscription', p_name, 'problem', p_problem),
        p_advice);
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_tables IS
    'Raises ES016: tables and checkpoint of a projection do not belong together. Never returns.';

CREATE FUNCTION eventstream.refuse_strange_schema(p_schema text, p_name text, p_tables_id uuid) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is record;
BEGIN
    SELECT p.* INTO v_is FROM eventstream.projection_schema(p_schema, p_name) AS p;
    IF v_is.found AND v_is.tables_id IS NULL THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I exists, and its comment does not say that it holds tables of this projection', p_schema),
            'Rename or drop the schema if you no longer need it, or give the projection another name.'
            -- Comments are lost where a dump was made without them.
            || coalesce(format(' If the checkpoint does fit the tables in it: COMMENT ON SCHEMA %I IS %L', p_schema,
                eventstream.projection_mark(p_name, p_tables_id)), ''));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_strange_schema IS
    'Raises ES016 if a schema exists that is not marked as a projection''s.';

CREATE FUNCTION eventstream.refuse_unfit_tables(p_name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is record;
BEGIN
    -- One query: a rebuild that ends meanwhile changes the row and the schema at once.
    SELECT s.tables_id, p.found, p.tables_id AS marked, q.position
    INTO v_is
    FROM eventstream.subscriptions AS s
    CROSS JOIN LATERAL eventstream.projection_schema(s.name, s.name) AS p
    CROSS JOIN LATERAL (
        SELECT min(h.position) AS position FROM eventstream.subscription_shards AS h WHERE h.subscription = s.name
    ) AS q
    WHERE s.name = p_name;
    IF v_is.tables_id IS NULL THEN
        IF NOT eventstream.is_rebuilding(p_name) THEN
            PERFORM eventstream.refuse_tables(p_name, 'its rebuild was interrupted, and its tables are not complete',
                'Rebuild it again.');
        END IF;
    ELSIF NOT v_is.found THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I with its tables does not exist, and its checkpoint is at position %s', p_name, v_is.position),
            'Rebuild it: that makes the tables anew and fills them. To begin anew without what was before, delete the '
            'subscription as well.');
    ELSIF v_is.marked IS DISTINCT FROM v_is.tables_id THEN
        PERFORM eventstream.refuse_strange_schema(p_name, p_name, v_is.tables_id);
        PERFORM eventstream.refuse_tables(p_name,
            format('its checkpoint is not about the tables in schema %I, which were there before or come from elsewhere',
                p_name),
            'Rebuild it.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_unfit_tables IS
    'Raises ES016 unless the tables of a projection are those that its checkpoint is about, or a rebuild runs that '
    'makes them.';

CREATE FUNCTION eventstream.create_projection(
    p_name text,
    p_shard_count integer,
    p_filter jsonb,
    p_start jsonb
) RETURNS uuid
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tables_id uuid := gen_random_uuid();
    v_created boolean := false;
BEGIN
    IF NOT current_setting('transaction_read_only')::boolean
        AND NOT EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.name = p_name) THEN
        v_created := eventstream.create_subscription(p_name, p_shard_count, 'projection', p_filter, p_start, v_tables_id);
    END IF;
    IF NOT v_created THEN
        PERFORM eventstream.subscribe(p_name, p_shard_count, 'projection', p_filter, p_start);
        PERFORM eventstream.refuse_unfit_tables(p_name);
        RETURN NULL;
    END IF;
    PERFORM eventstream.refuse_strange_schema(p_name, p_name, NULL);
    IF (SELECT p.found FROM eventstream.projection_schema(p_name, p_name) AS p) THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I holds its tables, and the subscription that said what is in them was deleted', p_name),
            format('Rebuild it, or to begin anew: DROP SCHEMA %I CASCADE', p_name));
    END IF;
    RETURN v_tables_id;
END;
$$;

COMMENT ON FUNCTION eventstream.create_projection IS
    'Creates the subscription of a projection, and returns the id of the tables that the caller makes in the same '
    'transaction; or finds one as described, with its tables, and returns NULL. ES011 if it differs, ES016 if its '
    'tables are not those of its checkpoint.';

-- The live subscription first: everybody who works on a projection locks that row first.
CREATE FUNCTION eventstream.lock_projection(p_name text, p_shard_count integer, p_filter jsonb) RETURNS eventstream.subscriptions
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions;
BEGIN
    -- The live one must be there for the new one to take its place. Without tables, nobody claims it.
    PERFORM eventstream.create_subscription(p_name, p_shard_count, 'projection', p_filter, '{"from": "beginning"}')
    WHERE NOT EXISTS (SELECT FROM eventstream.subscriptions AS s WHERE s.name = p_name);
    SELECT s.* INTO v_is FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    IF v_is.delivery IS DISTINCT FROM 'projection' OR v_is.rebuilds IS NOT NULL THEN
        PERFORM eventstream.refuse(
            'ES011',
            format('subscription %L is not that of a projection', p_name),
            jsonb_build_object('subscription', p_name, 'difference',
                format('delivery %s, now projection', coalesce(v_is.delivery, 'none'))),
            'Give the projection another name, or delete the subscription.');
    END IF;
    RETURN v_is;
END;
$$;

COMMENT ON FUNCTION eventstream.lock_projection IS
    'Keeps the subscription of a projection from everybody else until the transaction ends; makes one if there is '
    'none.';

-- Committed before the tables of earlier attempts are dropped: who still writes to one of them waits for a row that
-- this locks, and a DROP would wait for them in turn.
CREATE FUNCTION eventstream.begin_rebuild(
    p_name text,
    p_shard_count integer,
    p_rebuild_shard_count integer,
    p_filter jsonb,
    p_in_place boolean
) RETURNS TABLE (
    rebuild text,
    tables_id uuid
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_is eventstream.subscriptions := eventstream.lock_projection(p_name, p_shard_count, p_filter);
    v_tables_id uuid := gen_random_uuid();
    v_rebuild text := format('%s:rebuild:%s', p_name, left(v_tables_id::text, 8));
    v_fits boolean;
BEGIN
    -- Judged again by the last step, which may be hours away.
    PERFORM eventstream.check_shard_count(p_shard_count);
    PERFORM eventstream.refuse_strange_schema(p.schema, p_name, CASE WHEN p.schema = p_name THEN v_is.tables_id END)
    FROM unnest(ARRAY[p_name, '_' || p_name || '_rebuild', '_' || p_name || '_old']) AS p (schema);
    -- Earlier attempts, which nobody works on: the caller holds the lock.
    PERFORM eventstream.delete_subscription(s.name) FROM eventstream.subscriptions AS s WHERE s.rebuilds = p_name;
    SELECT p.tables_id IS NOT DISTINCT FROM v_is.tables_id INTO v_fits FROM eventstream.projection_schema(p_name, p_name) AS p;
    IF p_in_place OR NOT v_fits THEN
        PERFORM eventstream.fence_subscription(p_name);
        -- What is parked is handled with all the rest.
        DELETE FROM eventstream.parked_events AS k WHERE k.subscription = p_name;
        UPDATE eventstream.subscriptions AS s SET tables_id = NULL WHERE s.name = p_name;
    END IF;
    IF NOT eventstream.create_subscription(
        v_rebuild, p_rebuild_shard_count, 'projection', p_filter, '{"from": "beginning"}', v_tables_id, p_name) THEN
        PERFORM eventstream.refuse_tables(p_name, format('subscription %L exists already', v_rebuild), 'Rebuild it again.');
    END IF;
    RETURN QUERY SELECT v_rebuild, v_tables_id;
END;
$$;

COMMENT ON FUNCTION eventstream.begin_rebuild IS
    'Creates the subscription that a projection is rebuilt through, and returns its name and the id of the new tables. '
    'Forgets earlier attempts. Where the live tables are emptied, or do not fit their checkpoint, the projection is '
    'owned by nobody until the rebuild is done.';

-- The subscription first and its shards second, as everybody else locks them.
CREATE FUNCTION eventstream.hold_projection(p_name text) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_furthest bigint;
BEGIN
    PERFORM FROM eventstream.subscriptions AS s WHERE s.name = p_name FOR UPDATE;
    PERFORM FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name FOR UPDATE;
    SELECT max(h.position) INTO v_furthest FROM eventstream.subscription_shards AS h WHERE h.subscription = p_name;
    IF v_furthest IS NULL THEN
        PERFORM eventstream.refuse_unknown_subscription(p_name);
    END IF;
    RETURN v_furthest;
END;
$$;

COMMENT ON FUNCTION eventstream.hold_projection IS
    'Keeps a projection where it is until the transaction ends, and returns how far its furthest shard has come. ES010 '
    'if it is unknown.';

CREATE FUNCTION eventstream.refuse_foreign_tables(p_name text, p_by text, p_rebuilds text, p_tables_id uuid) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_rebuilds IS DISTINCT FROM p_name THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('subscription %L is not its rebuild, and its checkpoint is about other tables', p_by),
            'Rebuild the projection.');
    END IF;
    IF (SELECT p.tables_id FROM eventstream.projection_schema(p_name, p_name) AS p) IS DISTINCT FROM p_tables_id THEN
        PERFORM eventstream.refuse_tables(p_name,
            format('schema %I does not hold the tables that subscription %L has filled', p_name, p_by),
            'Rename the schemas in the same transaction, before this; Projector.Rebuild does it.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_foreign_tables IS
    'Raises ES016 unless p_by is the rebuild of a projection, and its tables are in place.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_tables, eventstream.refuse_strange_schema, eventstream.refuse_unfit_tables,
    eventstream.create_projection, eventstream.lock_projection, eventstream.begin_rebuild, eventstream.hold_projection,
    eventstream.refuse_foreign_tables
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.refuse_foreign_tables, eventstream.hold_projection, eventstream.begin_rebuild,
    eventstream.lock_projection, eventstream.create_projection, eventstream.refuse_unfit_tables,
    eventstream.refuse_strange_schema, eventstream.refuse_tables, eventstream.projection_schema,
    eventstream.projection_mark, eventstream.is_rebuilding, eventstream.rebuild_key;
