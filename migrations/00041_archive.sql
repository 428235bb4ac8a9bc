-- +goose Up
-- Retention: old events move to archived_events, which may lie on other disks. They stay what they are: their versions,
-- their places in the log, their seals; and whoever reads events reads them. The first and the last event of a stream
-- stay in events, so that what says what a stream is, and where it stands, is where it was.
-- Locks: SHARE ROW EXCLUSIVE on events and archived_events for the moment of CREATE TRIGGER. At run time the advisory
-- lock of the stream in hand: appends to it wait until the transaction ends. One transaction archives at a time. The
-- first one of all takes ACCESS EXCLUSIVE on events until it ends, to attach the archive: attach_archive() does that
-- alone, ahead of it.
-- +goose StatementBegin

-- In a snapshot from before events were archived, they are where they were, and the keys of events do not know them any
-- more: whether a row repeats one of them cannot be said.
CREATE FUNCTION eventstream.refuse_unseen_archive() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_last xid8 := pg_sequence_last_value('eventstream.archiving_seq'::regclass)::text::xid8;
    v_ignored text;
BEGIN
    -- What this transaction archived itself, it sees; and it looked here before it did.
    IF v_last IS NULL OR v_last = pg_current_xact_id_if_assigned()
        OR pg_visible_in_snapshot(v_last, pg_current_snapshot())
    THEN
        RETURN;
    END IF;
    BEGIN
        v_ignored := pg_xact_status(v_last);
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN; -- In the future: of the cluster that this store was restored from.
    END;
    RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
        MESSAGE = 'events were archived after the snapshot of this transaction was taken',
        HINT = 'Run the transaction again: a new snapshot sees where they are.';
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_unseen_archive IS
    'Raises 40001 if events were archived since the snapshot of this transaction was taken; returns otherwise. For '
    'transactions that keep one.';

-- What was archived is taken, as much as what is not, and the keys of events do not know it: the same error as that of
-- a key. Triggers fire in order of their names: this one before events_gate, which would say that a version has no
-- predecessor. Scalar subqueries and a setting, as there.
CREATE FUNCTION eventstream.events_archive_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    SELECT k.* INTO r
    FROM (
        SELECT n.stream_id, n.version, n.event_id,
            (
                SELECT true FROM eventstream.archived_events AS a
                WHERE a.stream_id = n.stream_id AND a.version = n.version
            ) AS has_version,
            (SELECT true FROM eventstream.archived_events AS a WHERE a.event_id = n.event_id) AS has_id
        FROM new_events AS n
    ) AS k
    WHERE k.has_version OR k.has_id
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = CASE
                WHEN r.has_version THEN format('version %s of stream %L exists already', r.version, r.stream_id)
                ELSE format('event %s exists already', r.event_id)
            END,
            SCHEMA = 'eventstream', TABLE = 'events',
            CONSTRAINT = CASE WHEN r.has_version THEN 'events_pkey' ELSE 'events_event_id_key' END;
    END IF;
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        PERFORM eventstream.refuse_unseen_archive();
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.events_archive_gate IS
    'Trigger, after INSERT on events, once the archive is attached: refuses a version or an event id that is archived '
    '(23505), and a snapshot that cannot see what is (40001).';

-- Whoever reads events reads both tables from here on. No plan may be left that reads one of them: whoever has one has
-- locked events, and is waited for; whoever comes after that plans anew.
CREATE FUNCTION eventstream.attach_archive() RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = 'eventstream.archived_events'::regclass) THEN
        RETURN false;
    END IF;
    LOCK TABLE eventstream.events IN ACCESS EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = 'eventstream.archived_events'::regclass) THEN
        RETURN false;
    END IF;
    ALTER TABLE eventstream.archived_events INHERIT eventstream.events;
    CREATE TRIGGER events_archive_gate
        AFTER INSERT ON eventstream.events
        REFERENCING NEW TABLE AS new_events
        FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_archive_gate();
    COMMENT ON TRIGGER events_archive_gate ON eventstream.events IS 'What was archived is taken.';
    -- On record, as all that holds the rules: these two, and nothing that somebody else may have changed.
    INSERT INTO eventstream.schema_record (kind, name, digest)
    SELECT o.kind, o.name, sha256(convert_to(o.definition, 'UTF8'))
    FROM eventstream.schema_objects AS o
    WHERE (o.kind, o.name) IN (('table', 'events'), ('trigger', 'events.events_archive_gate'));
    RETURN true;
END;
$$;

COMMENT ON FUNCTION eventstream.attach_archive IS
    'Makes archived_events a part of events for all readers; returns whether it was not yet. archive() does it the '
    'first time. Locks events until the transaction ends: call it ahead, in a transaction of its own, at a quiet time.';

-- The one DELETE that events take. The guard does not ask who deletes: it looks whether each row is in the archive, as
-- it was, byte for byte (*=). A row that was deleted from the archive is not, whatever table the statement named.
CREATE FUNCTION eventstream.events_leave() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT FROM old_events AS o
            WHERE (
                SELECT a *= o
                FROM eventstream.archived_events AS a
                WHERE a.stream_id = o.stream_id AND a.version = o.version
            ) IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'DELETE on eventstream.events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.events', 'operation', 'DELETE'),
            'Append a new event that corrects the old one.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.events_leave IS
    'Trigger, after DELETE on events: what leaves must be in archived_events by now, unchanged (ES004).';

CREATE TRIGGER events_append_only
    AFTER DELETE ON eventstream.events
    REFERENCING OLD TABLE AS old_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_leave();

COMMENT ON TRIGGER events_append_only ON eventstream.events IS
    'Events are never removed; they may move to the archive.';

-- What is put into the archive leaves events by the same statement, or neither happens: no event is ever in both, or
-- in none. Each row must be an event as it is, follow what is archived of its stream, and have one after it that
-- stays. Planner settings: rows of a transition table are looked up one by one, whatever their number was when the
-- plan was made.
CREATE FUNCTION eventstream.archived_events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_rows bigint;
    v_fit bigint;
    v_moved bigint;
    v_ignored text;
BEGIN
    IF TG_RELID <> 'eventstream.archived_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.archived_events');
    END IF;
    SELECT count(*), count(*) FILTER (WHERE
        (SELECT e *= n FROM ONLY eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = n.version)
        AND (
            SELECT true FROM ONLY eventstream.events AS e
            WHERE e.stream_id = n.stream_id AND e.version = n.version + 1
        ) AND (n.version = 2 OR (
            SELECT true FROM eventstream.archived_events AS a
            WHERE a.stream_id = n.stream_id AND a.version = n.version - 1
        )))
    INTO v_rows, v_fit
    FROM new_events AS n;
    IF v_rows = 0 THEN
        RETURN NULL;
    END IF;
    IF v_fit = v_rows THEN
        -- A lock until the end of the transaction, so that the number below is that of the last one that anybody can
        -- miss: whoever sees its work sees that of all before it.
        v_ignored := pg_advisory_xact_lock(1163097203, 0);
        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
            PERFORM eventstream.refuse_unseen_archive();
        END IF;
        v_ignored := setval('eventstream.archiving_seq'::regclass, pg_current_xact_id()::text::bigint);
        DELETE FROM ONLY eventstream.events AS e
        USING new_events AS n
        WHERE e.stream_id = n.stream_id AND e.version = n.version;
        GET DIAGNOSTICS v_moved = ROW_COUNT;
        -- Under the lock, so that numbers are seen in their order.
        INSERT INTO eventstream.archivings (stream_id, from_version, to_version)
        SELECT n.stream_id, min(n.version), max(n.version) FROM new_events AS n GROUP BY n.stream_id;
    END IF;
    IF v_moved IS DISTINCT FROM v_rows THEN
        PERFORM eventstream.refuse(
            'ES004',
            'INSERT on eventstream.archived_events refused: events move there in order, as they are, and the first '
            'and the last of a stream stay',
            jsonb_build_object('table', 'eventstream.archived_events', 'operation', 'INSERT'),
            'Use eventstream.archive.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.archived_events_gate IS
    'Trigger, after INSERT on archived_events: demands that each row is an event of the middle of its stream, '
    'unchanged and next in order, and takes it out of events (ES004).';

CREATE TRIGGER archived_events_gate
    AFTER INSERT ON eventstream.archived_events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.archived_events_gate();

-- Erasure goes through events, of which this table is a part, and has its guard there.
CREATE TRIGGER archived_events_append_only
    BEFORE UPDATE OR DELETE ON eventstream.archived_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'What an event holds can be taken away: eventstream.erase.');

CREATE TRIGGER archived_events_no_truncate
    BEFORE TRUNCATE ON eventstream.archived_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'history is append-only', 'What an event holds can be taken away: eventstream.erase.');

COMMENT ON TRIGGER archived_events_gate ON eventstream.archived_events IS 'What enters the archive leaves events.';
COMMENT ON TRIGGER archived_events_append_only ON eventstream.archived_events IS
    'Archived events are never changed or removed.';
COMMENT ON TRIGGER archived_events_no_truncate ON eventstream.archived_events IS 'Archived events are never removed.';

CREATE FUNCTION eventstream.archive(
    p_stream_id text,
    p_before_version bigint,
    p_max_events integer DEFAULT 10000
) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_ignored text;
    v_last bigint;
    v_from bigint;
    v_moved bigint;
BEGIN
    IF (p_before_version >= 1) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('before_version', p_before_version::text, '1 or more');
    ELSIF (p_max_events BETWEEN 1 AND 1000000) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('max_events', p_max_events::text, '1 to 1000000');
    END IF;
    -- The lock of what appends and erases. A statement of its own: the next one sees what it waited for. Not waited
    -- for while events is locked: whoever has it may wait for events.
    IF NOT eventstream.attach_archive() THEN
        v_ignored := eventstream.lock_stream(p_stream_id);
    ELSIF NOT pg_try_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_id)) THEN
        RAISE EXCEPTION USING ERRCODE = 'deadlock_detected',
            MESSAGE = format('stream %L is in use at the moment that the archive is attached', p_stream_id),
            HINT = 'Try again, or SELECT eventstream.attach_archive() first.';
    END IF;
    SELECT e.version INTO v_last
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id
    ORDER BY e.version DESC
    LIMIT 1;
    IF v_last IS NULL THEN
        PERFORM eventstream.refuse_unknown_stream(p_stream_id, 'Check its id.');
    END IF;
    SELECT e.version INTO v_from
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version > 1
    ORDER BY e.version
    LIMIT 1;
    INSERT INTO eventstream.archived_events (
        position, version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data,
        metadata
    )
    SELECT e.position, e.version, e.event_id, e.occurred_at, e.recorded_at, e.partition_id, e.stream_id, e.tenant_id,
        e.type, e.payload, e.data, e.metadata
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version >= v_from
        AND e.version < least(p_before_version, v_last, v_from + p_max_events)
    ORDER BY e.version;
    GET DIAGNOSTICS v_moved = ROW_COUNT;
    RETURN v_moved;
EXCEPTION WHEN unique_violation OR duplicate_table THEN
    -- Archived, or attached, after the snapshot of this transaction was taken.
    PERFORM eventstream.refuse_old_snapshot();
    RAISE;
END;
$$;

COMMENT ON FUNCTION eventstream.archive IS
    'Moves events of a stream below a version to archived_events, oldest first, p_max_events (1 to 1,000,000) at most; '
    'the first and the last event of the stream stay. Returns how many it moved: fewer than p_max_events, or 0, once '
    'there are no more. Call it again until then, each time in a transaction of its own.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_unseen_archive, eventstream.events_archive_gate, eventstream.attach_archive,
    eventstream.events_leave, eventstream.archived_events_gate, eventstream.archive
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.archive;
DROP TRIGGER IF EXISTS events_archive_gate ON eventstream.events;
DROP FUNCTION eventstream.attach_archive, eventstream.events_archive_gate, eventstream.refuse_unseen_archive;
DROP TRIGGER archived_events_no_truncate ON eventstream.archived_events;
DROP TRIGGER archived_events_append_only ON eventstream.archived_events;
DROP TRIGGER archived_events_gate ON eventstream.archived_events;
DROP FUNCTION eventstream.archived_events_gate;
DROP TRIGGER events_append_only ON eventstream.events;
DROP FUNCTION eventstream.events_leave;
