-- +goose Up
-- Erasure: what an event holds is taken away, and the event stays: its version, its place in the log, its digest. The
-- record of it (table erasures) is written by the very statement that takes the content away, and keeps the digests.
-- Locks: SHARE ROW EXCLUSIVE on events and discarded_events for the moment of CREATE TRIGGER. At run time the advisory
-- lock of the stream in hand; appends to it wait until the transaction ends.
-- +goose StatementBegin

-- What an erased event held is known by its digests: who repeats an append, or delivers the event again, is recognised.
CREATE FUNCTION eventstream.held_content(
    p_stream_id text,
    p_version bigint,
    p_event_id uuid,
    p_payload jsonb,
    p_data bytea
) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM eventstream.erasures AS x
        WHERE x.stream_id = p_stream_id AND x.version = p_version AND x.place = 'events' AND x.event_id = p_event_id
            AND x.payload_digest = sha256(convert_to(coalesce(p_payload, 'null')::text, 'UTF8'))
            AND x.data_digest IS NOT DISTINCT FROM sha256(p_data));
END;
$$;

COMMENT ON FUNCTION eventstream.held_content IS
    'Whether an event that was erased held this payload and these data, by their digests.';

-- The one UPDATE that events take. The guard does not ask who updates, or what a setting says: it looks whether each row
-- is what it was but for its content, has nothing left, and is on record with the digests of what it had, by this
-- statement: rows that one statement writes have one xmin. Sets are compared rather than joined, which would be quadratic
-- under a plan that was made for one row.
CREATE FUNCTION eventstream.events_erase_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT o.position, o.version, o.event_id, o.occurred_at, o.recorded_at, o.partition_id, o.stream_id, o.tenant_id, o.type
            FROM old_events AS o
            EXCEPT
            SELECT n.position, n.version, n.event_id, n.occurred_at, n.recorded_at, n.partition_id, n.stream_id, n.tenant_id, n.type
            FROM new_events AS n)
        OR EXISTS (SELECT FROM new_events AS n WHERE NOT eventstream.is_erased(n.payload, n.data, n.metadata))
        OR EXISTS (
            SELECT FROM old_events AS o
            WHERE (
                SELECT x.position = o.position AND x.xmin = e.xmin
                    AND x.payload_digest = sha256(convert_to(o.payload::text, 'UTF8'))
                    AND x.data_digest IS NOT DISTINCT FROM sha256(o.data)
                    AND x.metadata_digest = sha256(convert_to(o.metadata::text, 'UTF8'))
                FROM eventstream.erasures AS x
                CROSS JOIN eventstream.events AS e
                WHERE x.stream_id = o.stream_id AND x.version = o.version AND x.place = 'events' AND x.event_id = o.event_id
                    AND e.stream_id = o.stream_id AND e.version = o.version
            ) IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'UPDATE on eventstream.events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.events', 'operation', 'UPDATE'),
            'Append a new event that corrects the old one; or take away what it holds: eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.events_erase_gate IS
    'Trigger, after UPDATE on events: demands that each row loses its content and nothing else, and is on record in '
    'erasures by the same statement (ES004).';

CREATE TRIGGER events_erase_gate
    AFTER UPDATE ON eventstream.events
    REFERENCING OLD TABLE AS old_events NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_erase_gate();

COMMENT ON TRIGGER events_erase_gate ON eventstream.events IS
    'Events are never changed, but that their content is taken away, on record.';

CREATE FUNCTION eventstream.discarded_events_erase_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_RELID <> 'eventstream.discarded_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.discarded_events');
    END IF;
    -- An event may be discarded twice, and even after it was erased: one record of it is enough.
    IF NOT EXISTS (SELECT FROM old_events)
        OR EXISTS (
            SELECT o.version, o.event_id, o.occurred_at, o.received_at, o.partition_id, o.stream_id, o.tenant_id, o.type,
                o.discarded_at, o.discarded_by, o.reason
            FROM old_events AS o
            EXCEPT ALL
            SELECT n.version, n.event_id, n.occurred_at, n.received_at, n.partition_id, n.stream_id, n.tenant_id, n.type,
                n.discarded_at, n.discarded_by, n.reason
            FROM new_events AS n)
        OR EXISTS (
            SELECT FROM new_events AS n
            WHERE NOT eventstream.is_erased(n.payload, n.data, n.metadata)
                OR (
                    SELECT true FROM eventstream.erasures AS x
                    WHERE x.stream_id = n.stream_id AND x.version = n.version AND x.place = 'discarded_events'
                        AND x.event_id = n.event_id
                ) IS NULL)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'UPDATE on eventstream.discarded_events refused: history is append-only',
            jsonb_build_object('table', 'eventstream.discarded_events', 'operation', 'UPDATE'),
            'What was discarded stays on record; what it holds can be taken away: eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.discarded_events_erase_gate IS
    'Trigger, after UPDATE on discarded_events: demands that each row loses its content and nothing else, and is on '
    'record in erasures (ES004).';

CREATE TRIGGER discarded_events_erase_gate
    AFTER UPDATE ON eventstream.discarded_events
    REFERENCING OLD TABLE AS old_events NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.discarded_events_erase_gate();

COMMENT ON TRIGGER discarded_events_erase_gate ON eventstream.discarded_events IS
    'What was discarded is never changed, but that its content is taken away, on record.';

-- A record without its erasure would be a lie, and its digests would pass for those of an event.
CREATE FUNCTION eventstream.erasures_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_RELID <> 'eventstream.erasures'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.erasures');
    END IF;
    IF EXISTS (
        SELECT FROM new_erasures AS n
        WHERE n.erased_by <> session_user
            OR NOT eventstream.is_now(n.erased_at)
            OR CASE n.place
                WHEN 'events' THEN (
                    SELECT eventstream.is_erased(e.payload, e.data, e.metadata)
                        AND e.event_id = n.event_id AND e.position = n.position AND e.xmin = x.xmin
                    FROM eventstream.events AS e
                    CROSS JOIN eventstream.erasures AS x
                    WHERE e.stream_id = n.stream_id AND e.version = n.version
                        AND x.stream_id = n.stream_id AND x.version = n.version AND x.place = n.place AND x.event_id = n.event_id
                )
                ELSE (
                    SELECT bool_and(eventstream.is_erased(d.payload, d.data, d.metadata))
                    FROM eventstream.discarded_events AS d
                    WHERE d.stream_id = n.stream_id AND d.version = n.version AND d.event_id = n.event_id
                )
            END IS NOT TRUE)
    THEN
        PERFORM eventstream.refuse(
            'ES004',
            'INSERT on eventstream.erasures refused: an erasure is recorded by what erases, as it is done',
            jsonb_build_object('table', 'eventstream.erasures', 'operation', 'INSERT'),
            'Use eventstream.erase.');
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.erasures_gate IS
    'Trigger, after INSERT on erasures: demands that the same statement erased the event, by this user and now '
    '(ES004).';

CREATE TRIGGER erasures_gate
    AFTER INSERT ON eventstream.erasures
    REFERENCING NEW TABLE AS new_erasures
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.erasures_gate();

CREATE TRIGGER erasures_append_only
    BEFORE UPDATE OR DELETE ON eventstream.erasures
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'an erasure is on record for good', 'What was erased does not come back.');

CREATE TRIGGER erasures_no_truncate
    BEFORE TRUNCATE ON eventstream.erasures
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'an erasure is on record for good', 'What was erased does not come back.');

COMMENT ON TRIGGER erasures_gate ON eventstream.erasures IS 'No record without its erasure.';
COMMENT ON TRIGGER erasures_append_only ON eventstream.erasures IS 'Erasures stay on record.';
COMMENT ON TRIGGER erasures_no_truncate ON eventstream.erasures IS 'Erasures stay on record.';

-- The versions in hand, as two numbers. Under the lock of the stream.
CREATE FUNCTION eventstream.versions_to_erase(
    p_stream_id text,
    p_versions int8range,
    p_reason text,
    OUT from_version bigint,
    OUT to_version bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_last bigint := greatest(
        (SELECT e.version FROM eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1),
        (SELECT d.version FROM eventstream.discarded_events AS d WHERE d.stream_id = p_stream_id ORDER BY d.version DESC LIMIT 1));
BEGIN
    IF (p_reason ~ '[^[:space:]]') IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('reason', p_reason, 'text that says why: it stays on record');
    ELSIF p_versions IS NULL OR isempty(p_versions) THEN
        PERFORM eventstream.refuse_value('versions', p_versions::text, 'a range such as [2,2], [2,5] or [2,], to the last one');
    ELSIF v_last IS NULL THEN
        PERFORM eventstream.refuse_unknown_stream(p_stream_id,
            'Check its id. What waits for a hole can be erased once it is discarded: eventstream.discard_pending.');
    END IF;
    from_version := coalesce(lower(p_versions), 1);
    to_version := coalesce(upper(p_versions) - 1, v_last);
    IF from_version < 1 OR to_version > v_last OR from_version > to_version THEN
        PERFORM eventstream.refuse_value('versions', p_versions::text, format('within [1,%s], the versions of stream %L', v_last, p_stream_id));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.versions_to_erase IS
    'The first and the last version that erase() is asked for; ES008 for what a stream does not have, ES018 if there '
    'is none. For erase() alone.';

-- Subscriptions that ask for it learn of an erasure as of everything else: by an event, in its place in the log.
CREATE FUNCTION eventstream.tell_erasure(p_stream_id text, p_from_version bigint, p_to_version bigint, p_events bigint) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_stream record;
BEGIN
    SELECT e.tenant_id, e.partition_id INTO v_stream
    FROM eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = p_from_version;
    IF FOUND THEN
        -- One stream for each tenant and partition: told in the shard that handled the events.
        PERFORM eventstream.append(format('$erasures-%s-%s', v_stream.tenant_id, v_stream.partition_id), '$erased',
            jsonb_build_object('stream_id', p_stream_id, 'from_version', p_from_version, 'to_version', p_to_version, 'events', p_events),
            p_tenant_id => v_stream.tenant_id, p_partition_id => v_stream.partition_id);
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.tell_erasure IS
    'Appends the event $erased to the stream $erasures-<tenant>-<partition>. For erase() alone.';

CREATE FUNCTION eventstream.erase(
    p_stream_id text,
    p_versions int8range,
    p_reason text,
    p_tell boolean DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    v_erased bigint := 0;
    v_discarded bigint := 0;
    v record;
BEGIN
    -- The lock of what appends: two erasures of a stream take turns.
    PERFORM eventstream.lock_stream(p_stream_id);
    SELECT w.from_version, w.to_version INTO v FROM eventstream.versions_to_erase(p_stream_id, p_versions, p_reason) AS w;
    -- An UPDATE of nothing is refused, as every other one.
    IF EXISTS (
        SELECT FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version >= v.from_version AND e.version <= v.to_version
            AND NOT eventstream.is_erased(e.payload, e.data, e.metadata))
    THEN
        WITH kept AS (
            INSERT INTO eventstream.erasures AS x (
                position, version, event_id, stream_id, reason, payload_digest, data_digest, metadata_digest
            )
            SELECT e.position, e.version, e.event_id, e.stream_id, p_reason, sha256(convert_to(e.payload::text, 'UTF8')), sha256(e.data),
                sha256(convert_to(e.metadata::text, 'UTF8'))
            FROM eventstream.events AS e
            WHERE e.stream_id = p_stream_id AND e.version >= v.from_version AND e.version <= v.to_version
                AND NOT eventstream.is_erased(e.payload, e.data, e.metadata)
            RETURNING x.stream_id, x.version
        )
        UPDATE eventstream.events AS e
        SET payload = 'null', data = NULL, metadata = '{"$erased": true}'
        FROM kept AS k
        WHERE e.stream_id = k.stream_id AND e.version = k.version;
        GET DIAGNOSTICS v_erased = ROW_COUNT;
    END IF;
    IF EXISTS (
        SELECT FROM eventstream.discarded_events AS d
        WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
            AND NOT eventstream.is_erased(d.payload, d.data, d.metadata))
    THEN
        WITH kept AS (
            INSERT INTO eventstream.erasures (version, event_id, stream_id, place, reason, payload_digest, data_digest, metadata_digest)
            SELECT d.version, d.event_id, d.stream_id, 'discarded_events', p_reason, sha256(convert_to(d.payload::text, 'UTF8')),
                sha256(d.data), sha256(convert_to(d.metadata::text, 'UTF8'))
            FROM eventstream.discarded_events AS d
            WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
                AND NOT eventstream.is_erased(d.payload, d.data, d.metadata)
            -- Discarded twice, or again since it was erased.
            ON CONFLICT ON CONSTRAINT erasures_pkey DO NOTHING
        )
        UPDATE eventstream.discarded_events AS d
        SET payload = 'null', data = NULL, metadata = '{"$erased": true}'
        WHERE d.stream_id = p_stream_id AND d.version >= v.from_version AND d.version <= v.to_version
            AND NOT eventstream.is_erased(d.payload, d.data, d.metadata);
        GET DIAGNOSTICS v_discarded = ROW_COUNT;
    END IF;
    -- What was made of the events. Also when they were erased before: somebody may have restored it.
    DELETE FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id;
    -- What a handler said may quote them.
    UPDATE eventstream.parked_events AS k SET error = 'erased with its event'
    WHERE k.stream_id = p_stream_id AND k.version >= v.from_version AND k.version <= v.to_version;
    IF v_erased > 0 AND coalesce(p_tell, EXISTS (
        SELECT FROM eventstream.subscriptions AS s
        WHERE s.filter -> 'types' ? '$erased' OR s.filter ->> 'category' = '$erasures'))
    THEN
        PERFORM eventstream.tell_erasure(p_stream_id, v.from_version, v.to_version, v_erased);
    END IF;
    RETURN v_erased + v_discarded;
EXCEPTION WHEN unique_violation THEN
    -- On record already: it was erased after the snapshot of this transaction was taken.
    PERFORM eventstream.refuse_old_snapshot();
    RAISE;
END;
$$;

COMMENT ON FUNCTION eventstream.erase IS
    'Takes payload, data and metadata away from events of a stream, and from what was discarded of these versions; '
    'keeps their digests in erasures, with who, when and why; deletes the stream''s snapshots. Returns how many it '
    'erased: 0 for what is erased already. p_versions: [2,5], or [2,] to the last one. p_tell: whether the log gets an '
    'event $erased; by default if a subscription asks for it.';

REVOKE EXECUTE ON FUNCTION
    eventstream.held_content, eventstream.events_erase_gate, eventstream.discarded_events_erase_gate,
    eventstream.erasures_gate, eventstream.versions_to_erase, eventstream.tell_erasure, eventstream.erase
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.erase, eventstream.tell_erasure, eventstream.versions_to_erase;
DROP TRIGGER erasures_no_truncate ON eventstream.erasures;
DROP TRIGGER erasures_append_only ON eventstream.erasures;
DROP TRIGGER erasures_gate ON eventstream.erasures;
DROP FUNCTION eventstream.erasures_gate;
DROP TRIGGER discarded_events_erase_gate ON eventstream.discarded_events;
DROP FUNCTION eventstream.discarded_events_erase_gate;
DROP TRIGGER events_erase_gate ON eventstream.events;
DROP FUNCTION eventstream.events_erase_gate, eventstream.held_content;
