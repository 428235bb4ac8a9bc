-- +goose Up
-- The store itself: how Gapless refuses, and the one row that says what this store is. The schema eventstream exists
-- already: goose keeps its version table in it, and a role may be given the schema without the right to create one.
-- Locks: none that matter, everything here is new.
--
-- Every function of the schema says "SET search_path = pg_catalog, pg_temp". An empty path still looks for types in
-- pg_temp first, which is where any role can put a type of its own name, and with it code that would run with the
-- rights of the function's owner. Functions that must be inlined cannot carry a setting; their bodies are parsed once,
-- when they are created (RETURN).
-- +goose StatementBegin

COMMENT ON SCHEMA eventstream IS
    'Gapless: event streams without a hole. Rules live in constraints and triggers here; SELECT * FROM '
    'eventstream.audit() checks them.';

-- Errors are part of the interface: a SQLSTATE in class ES to match on, the numbers as one JSON object in DETAIL, and
-- what to do in HINT. One function raises them all, so that they cannot come in two shapes.
CREATE FUNCTION eventstream.refuse(
    p_code text,
    p_message text,
    p_detail jsonb,
    p_hint text
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = p_code, MESSAGE = p_message, DETAIL = p_detail::text, HINT = p_hint;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse IS
    'Raises an error of class ES: SQLSTATE p_code, DETAIL one JSON object, HINT what to do. Never returns.';

-- A value is refused with the rule it breaks; a long one is shown shortened, since errors end up in logs.
CREATE FUNCTION eventstream.refuse_value(
    p_field text,
    p_value text,
    p_rule text
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES008',
        format('invalid %s %s: must be %s', p_field, coalesce(quote_literal(left(p_value, 64)), 'NULL'), p_rule),
        jsonb_build_object('field', p_field, 'value', left(p_value, 64), 'bytes', octet_length(p_value), 'rule', p_rule),
        format('Give a %s that is %s.', p_field, p_rule));
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_value IS
    'Raises ES008 (invalid value), naming the field, the value and the rule. Never returns.';

-- What guards a table calls this: the trigger's arguments are the SQLSTATE, the reason and the hint.
CREATE FUNCTION eventstream.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse(
        TG_ARGV[0],
        format('%s on eventstream.%s refused: %s', TG_OP, TG_TABLE_NAME, TG_ARGV[1]),
        jsonb_build_object('table', 'eventstream.' || TG_TABLE_NAME, 'operation', TG_OP),
        TG_ARGV[2]);
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_change IS 'Trigger: refuses the operation. Arguments: SQLSTATE, reason, hint.';

-- A way back that drops the tables drops what they hold. Asked before the first step, and again under the lock of the
-- tables.
CREATE FUNCTION eventstream.refuse_to_drop_events() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('eventstream.drop_events', true) IS DISTINCT FROM 'on'
        AND (EXISTS (SELECT FROM eventstream.events) OR EXISTS (SELECT FROM eventstream.pending_events))
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'migrating down refused: the store holds events, which going back would drop',
            jsonb_build_object('setting', 'eventstream.drop_events', 'value', current_setting('eventstream.drop_events', true)),
            'Leave the store as it is; or, if its events may be lost, SET eventstream.drop_events = on in the session that '
            'migrates, which is Options.DropEvents in Go.');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_to_drop_events IS
    'Raises ES004 if the store holds events, unless the setting eventstream.drop_events is on. For migrations.';

-- The partition count as a constant that every writer can check against without reading a row that all writers share.
-- Chosen at install: SET eventstream.partition_count = 64 in the session that migrates, or Options.PartitionCount in
-- Go.
CREATE FUNCTION eventstream.partition_count() RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS 'SELECT 32';

DO $$
DECLARE
    v_count text := coalesce(nullif(current_setting('eventstream.partition_count', true), ''), '32');
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        PERFORM eventstream.refuse(
            'ES009',
            format('database encoding is %s: Gapless needs UTF8', current_setting('server_encoding')),
            jsonb_build_object('encoding', current_setting('server_encoding'), 'required', 'UTF8'),
            'Create the database with ENCODING ''UTF8'' TEMPLATE template0.');
    END IF;
    IF v_count !~ '^[0-9]{1,5}$' OR v_count::integer NOT BETWEEN 1 AND 32768 THEN
        PERFORM eventstream.refuse_value('partition_count', v_count, 'a whole number from 1 to 32768');
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION eventstream.partition_count() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
        'SELECT ' || v_count::integer);
END;
$$;

COMMENT ON FUNCTION eventstream.partition_count IS
    'Number of partitions of this store, chosen at install. Equals store.partition_count; audit() reports a '
    'difference.';

CREATE TABLE eventstream.store (
    store_id uuid NOT NULL DEFAULT gen_random_uuid(),
    partition_count integer NOT NULL DEFAULT eventstream.partition_count(),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT store_pkey PRIMARY KEY (store_id),
    -- A stream's partition is computed from the count, so it is a whole number of at least one.
    CONSTRAINT store_partition_count_range CHECK (partition_count BETWEEN 1 AND 32768)
);

-- One store in a database: a unique index on a constant leaves room for one row.
CREATE UNIQUE INDEX store_one_row ON eventstream.store ((true));

COMMENT ON TABLE eventstream.store IS 'What this store is: one row, written at install, never changed.';
COMMENT ON COLUMN eventstream.store.store_id IS 'Tells this store from every other one.';
COMMENT ON COLUMN eventstream.store.partition_count IS
    'Number of partitions, 32 unless chosen otherwise at install; never changes.';
COMMENT ON COLUMN eventstream.store.created_at IS 'When the store was installed.';
COMMENT ON INDEX eventstream.store_one_row IS 'Leaves room for one row.';

INSERT INTO eventstream.store DEFAULT VALUES;

-- A changed count would send every stream to another partition, so the row is frozen from now on.
CREATE TRIGGER store_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.store
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES009', 'the store''s identity and partition count are chosen at install',
        'For another partition count, install a new store and copy the events into it.');

COMMENT ON TRIGGER store_frozen ON eventstream.store IS 'The store row never changes.';

-- In a rolling deployment, the first process of a new release migrates while those of the release before still run, and
-- start anew. So each migration says from which version on code can use the schema that it leaves. A version is that of
-- a migration; that of code is the highest one that it knows.
CREATE TABLE eventstream.schema_versions (
    version bigint NOT NULL,
    usable_from bigint NOT NULL,
    CONSTRAINT schema_versions_pkey PRIMARY KEY (version),
    -- Code of a version can use the schema of that version.
    CONSTRAINT schema_versions_usable_from_range CHECK (usable_from BETWEEN 1 AND version)
);

COMMENT ON TABLE eventstream.schema_versions IS
    'From which version on code can use the schema: a row for each version of it that code was released for.';
COMMENT ON COLUMN eventstream.schema_versions.version IS 'Version of the schema: the number of its last migration.';
COMMENT ON COLUMN eventstream.schema_versions.usable_from IS
    'Code that knows migrations up to this one, or more, works with it.';

CREATE FUNCTION eventstream.declare_version(p_version bigint, p_usable_from bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO eventstream.schema_versions (version, usable_from)
    -- What an earlier migration took from old code, a later one does not give back.
    SELECT p_version, greatest(p_usable_from, max(v.usable_from))
    FROM eventstream.schema_versions AS v
    WHERE v.version < p_version;
END;
$$;

COMMENT ON FUNCTION eventstream.declare_version IS
    'Says from which version on code can use the schema of a version. A migration calls it, with its own number, and '
    'its Down deletes the row: with p_usable_from of the release before if that works with the new schema, else with '
    'its own.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_change, eventstream.refuse_to_drop_events, eventstream.declare_version
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.declare_version;
DROP TABLE eventstream.schema_versions;
DROP TABLE eventstream.store;
DROP FUNCTION
    eventstream.partition_count, eventstream.refuse_to_drop_events, eventstream.refuse_change, eventstream.refuse_value,
    eventstream.refuse;
