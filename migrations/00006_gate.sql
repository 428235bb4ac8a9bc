-- +goose Up
-- The gate: every row that enters eventstream.events passes here, whoever writes it: append_batch, INSERT, COPY, MERGE.
-- It checks, and writes nothing: it keeps streams gapless, in one tenant and one partition, with positions in the order
-- of versions. It reads the streams in hand, the sequence and advisory locks of its own; nothing that all writers
-- share.
-- Locks: SHARE ROW EXCLUSIVE on events and pending_events for the moment of CREATE TRIGGER. At run time, each writer's
-- transaction holds one shared advisory lock.

-- A position is drawn before its transaction commits, so a reader of the log must know which numbers can still appear.
-- A writer says so with a shared lock whose key is the sequence's last value before it draws: all of its positions are
-- above the key. The lock falls with the transaction, whatever its end. The high 16 bits ('ES') keep the key apart from
-- the advisory locks of others; the low 48 hold the number, without the node part of a distributed install.
CREATE FUNCTION eventstream.in_flight_key(p_position bigint) RETURNS bigint
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN 4995336411684012032 | (p_position & 281474976710655);

COMMENT ON FUNCTION eventstream.in_flight_key(bigint) IS
    'Key of the advisory lock that a writer holds while its positions, all above p_position, are not committed yet.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.events_in_flight() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Read first, lock second, draw third: a lock taken after the draw would come too late for a reader in between.
    v_last bigint := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    -- The key of this transaction, the sequence's value before the statement, and how many statements there were. Local
    -- to the transaction, and rolled back with a savepoint exactly as the lock is.
    v_state text := nullif(current_setting('eventstream.in_flight', true), '');
    v_key bigint := v_last;
    v_statements integer := 1;
    v_ignored text;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    -- One lock a transaction: the first key covers every later draw, and taking it again is free. A remembered key that
    -- cannot be is not believed: a higher one would uncover this transaction's positions.
    IF v_state IS NOT NULL THEN
        v_statements := split_part(v_state, ' ', 3)::integer + 1;
        v_key := split_part(v_state, ' ', 1)::bigint;
        IF v_key NOT BETWEEN 0 AND v_last THEN
            v_key := v_last;
        END IF;
    END IF;
    -- In a subtransaction, whose end hands the lock to the transaction. Taken in a cursor's statement, it would be the
    -- cursor's, and fall when a later FETCH fails within a savepoint, while the rows of the first one stay.
    BEGIN
        -- Nobody takes it exclusively, but for a stranger who wants to disturb: a lower key covers as much, and after
        -- some tries we wait.
        WHILE NOT pg_try_advisory_xact_lock_shared(eventstream.in_flight_key(v_key)) LOOP
            IF v_key = 0 OR v_key <= v_last - 8 THEN
                v_ignored := pg_advisory_xact_lock_shared(eventstream.in_flight_key(v_key));
                EXIT;
            END IF;
            v_key := v_key - 1;
        END LOOP;
    EXCEPTION WHEN no_data_found THEN
        RAISE;
    END;
    v_ignored := set_config('eventstream.in_flight', v_key || ' ' || v_last || ' ' || v_statements, true);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.events_in_flight() IS
    'Trigger, before INSERT on events: takes the in-flight lock, before any position is drawn.';

CREATE TRIGGER events_in_flight
    BEFORE INSERT ON eventstream.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_in_flight();

COMMENT ON TRIGGER events_in_flight ON eventstream.events IS 'Marks positions that are not committed yet.';

-- Events may carry tags, on which decisions rest (00026_tags.sql). Who writes one holds its tags and its type, shared,
-- until the transaction ends; a decision holds what it asks for, exclusively.
CREATE FUNCTION eventstream.tag_key(p_tag text) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN hashtext(('tag ' || p_tag) COLLATE "C");

COMMENT ON FUNCTION eventstream.tag_key(text) IS
    'Second key of the advisory lock of a tag; the first is 1163157863 (ETag). Two tags may share one: then they share '
    'the lock.';

CREATE FUNCTION eventstream.tag_type_key(p_type text) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN hashtext(('type ' || p_type) COLLATE "C");

COMMENT ON FUNCTION eventstream.tag_type_key(text) IS
    'Second key of the advisory lock of a type, for queries by type alone; the first is that of tags.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_tags(p_tags jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse_value('tags', p_tags::text,
        'an array of at most 32 strings, each 1 to 128 bytes of UTF-8, without control characters, and without white '
        'space at either end');
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_tags(jsonb) IS
    'Raises ES008: the tags in the metadata of an event are none. Never returns.';

-- Of many events at once, in one query. What is not an array of strings is told apart before it is taken apart.
-- +goose StatementBegin
CREATE FUNCTION eventstream.tag_keys(p_types text[], p_tags jsonb[]) RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_keys integer[];
    v_fit boolean;
BEGIN
    SELECT array_agg(k.key), bool_and(k.fits) INTO v_keys, v_fit
    FROM (
        SELECT eventstream.tag_key(t.tag #>> '{}') AS key,
            (jsonb_typeof(t.tag) = 'string' AND eventstream.is_name(t.tag #>> '{}')) IS TRUE AS fits
        FROM (SELECT unnest(p_tags) AS tags) AS u
        CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(u.tags) = 'array' THEN
            CASE WHEN jsonb_array_length(u.tags) <= 32 THEN u.tags END END) AS t (tag)
        UNION ALL
        SELECT eventstream.tag_type_key(y.type), true FROM (SELECT unnest(p_types) AS type) AS y
        UNION ALL
        -- A function of a row that gives NULL gives no row.
        SELECT NULL, false FROM (SELECT unnest(p_tags) AS tags) AS w
        WHERE CASE WHEN jsonb_typeof(w.tags) = 'array' THEN jsonb_array_length(w.tags) > 32 ELSE true END
    ) AS k;
    IF NOT v_fit THEN
        PERFORM eventstream.refuse_tags(u.tags)
        FROM unnest(p_tags) AS u (tags)
        WHERE CASE WHEN jsonb_typeof(u.tags) = 'array' THEN jsonb_array_length(u.tags) > 32 OR EXISTS (
                SELECT FROM jsonb_array_elements(u.tags) AS t (tag)
                WHERE (jsonb_typeof(t.tag) = 'string' AND eventstream.is_name(t.tag #>> '{}')) IS NOT TRUE)
            ELSE true END;
    END IF;
    RETURN v_keys;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.tag_keys(text[], jsonb[]) IS
    'Keys of the locks that the writer of tagged events holds: their tags, and their types. ES008 for tags that are '
    'none.';

-- In order of the key, whoever locks: two calls never wait for each other. Locks live in shared memory, so their number
-- is bounded: a transaction that needs more than 128 holds one in place of those of what it writes, which decisions
-- share, and which keeps all of them waiting; other writers do not look at it. What a decision asks for it holds in any
-- case, since writers hold nothing else. Counted, not remembered by name: what a setting says may be forged, and a
-- wrong count costs memory or patience, never a lock.
-- +goose StatementBegin
CREATE FUNCTION eventstream.lock_tags(p_decide integer[], p_write integer[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_held bigint := coalesce(nullif(current_setting('eventstream.tag_locks', true), '')::bigint, 0);
    v_keys integer[] := ARRAY(SELECT DISTINCT k FROM unnest(p_decide || p_write) AS k ORDER BY k);
    v_many boolean := v_held + cardinality(v_keys) > 128;
    v_ignored text;
BEGIN
    IF v_many THEN
        v_keys := ARRAY(SELECT DISTINCT k FROM unnest(p_decide) AS k ORDER BY k);
        IF v_held + cardinality(v_keys) > 1024 AND p_decide IS NOT NULL THEN
            PERFORM eventstream.refuse_value('query', (v_held + cardinality(v_keys))::text || ' tags and types',
                'one that asks for at most 1024 tags and types, together with the other queries of the transaction');
        END IF;
    END IF;
    -- In a subtransaction, whose end hands the locks to the transaction: a cursor would take them along.
    BEGIN
        v_ignored := set_config('eventstream.tag_locks', (v_held + v_many::integer + cardinality(v_keys))::text, true);
        IF v_many THEN
            v_ignored := pg_advisory_xact_lock(1163157868, 0);
        ELSIF p_decide IS NOT NULL THEN
            v_ignored := pg_advisory_xact_lock_shared(1163157868, 0);
        END IF;
        FOR i IN 1 .. cardinality(v_keys) LOOP
            IF v_keys[i] = ANY (p_decide) THEN
                v_ignored := pg_advisory_xact_lock(1163157863, v_keys[i]);
            ELSE
                v_ignored := pg_advisory_xact_lock_shared(1163157863, v_keys[i]);
            END IF;
        END LOOP;
    EXCEPTION WHEN no_data_found THEN
        RAISE;
    END;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.lock_tags(integer[], integer[]) IS
    'Holds keys of tags and types until the transaction ends: p_decide exclusively, p_write shared; after 128 in a '
    'transaction, one lock (1163157868, ETal) in place of those of p_write.';

-- The gate calls this for the rows that carry tags. append_batch and append_event do before they draw positions, so that
-- they are never too late (events_gate says what that is).
-- +goose StatementBegin
CREATE FUNCTION eventstream.hold_tags(p_types text[], p_tags jsonb[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.lock_tags(NULL, eventstream.tag_keys(p_types, p_tags));
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.hold_tags(text[], jsonb[]) IS
    'Keeps decisions on these tags and types waiting until the transaction ends; other writers of them do not wait.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.hold_tags_of_batch(p_types text[], p_metadata jsonb[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_types text[];
    v_tags jsonb[];
BEGIN
    SELECT array_agg(u.type), array_agg(u.metadata -> 'tags') INTO v_types, v_tags
    FROM (SELECT unnest(p_types) AS type, unnest(p_metadata) AS metadata) AS u
    WHERE u.metadata ? 'tags';
    IF v_tags IS NOT NULL THEN
        PERFORM eventstream.hold_tags(v_types, v_tags);
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.hold_tags_of_batch(text[], jsonb[]) IS 'hold_tags() for those events of a batch that carry tags.';

-- An alternative matches an event that is of one of its types and carries all of its tags. One expression, so that
-- PostgreSQL inlines it; what is not a query, as in metadata that somebody forged, matches or does not, and is no error.
CREATE FUNCTION eventstream.matches_query(p_query jsonb, p_type text, p_tags jsonb) RETURNS boolean
LANGUAGE sql
STABLE PARALLEL SAFE
RETURN jsonb_path_exists(
    p_query,
    'lax $[*] ? (@.types[*] == $type && !exists(@.tags[*] ? (!(@ == $tags[*])))
        || !exists(@.types[*]) && exists(@.tags[*]) && !exists(@.tags[*] ? (!(@ == $tags[*]))))',
    jsonb_build_object('type', p_type, 'tags', p_tags),
    true);

COMMENT ON FUNCTION eventstream.matches_query(jsonb, text, jsonb) IS
    'Whether an event of this type with these tags matches one of the alternatives of a query.';

-- What the gate asks once it holds the tags of rows that were inserted before. A decision that was made between their
-- draw and the lock did not see them, though they are below it: it left its query in its last event. p_last is the
-- statement's last position, p_own where its own notes are, and the rest is an element a row that carries tags.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_overtaken(
    p_last bigint,
    p_own bigint[],
    p_positions bigint[],
    p_types text[],
    p_tags jsonb[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    r record;
BEGIN
    -- In one snapshot for all statements, what was decided since cannot be seen.
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        IF pg_sequence_last_value('eventstream.events_position_seq'::regclass) > p_last THEN
            PERFORM eventstream.refuse_old_snapshot();
        END IF;
        RETURN;
    END IF;
    SELECT e.position, e.stream_id, e.version, n.position AS row_position INTO r
    FROM eventstream.events AS e
    CROSS JOIN LATERAL (
        SELECT u.position
        FROM unnest(p_positions, p_types, p_tags) AS u (position, type, tags)
        WHERE u.position < e.position AND eventstream.matches_query(e.metadata #> '{decided,query}', u.type, u.tags)
        LIMIT 1
    ) AS n
    WHERE e.position > (SELECT min(u) FROM unnest(p_positions) AS u) AND e.metadata ? 'decided' AND (e.position = ANY (p_own)) IS NOT TRUE
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES006',
            format('the event at position %s carries tags that a decision at position %s asked for, without seeing it',
                r.row_position, r.position),
            jsonb_build_object('stream_id', r.stream_id, 'version', r.version, 'position', r.row_position, 'last_position', r.position),
            'Try again, or use eventstream.append, which locks first.');
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_overtaken(bigint, bigint[], bigint[], text[], jsonb[]) IS
    'Raises ES006 if a decision that asked for events like these was made after they drew their positions and before '
    'they had their locks; 40001 where the snapshot is too old to see it. For events_gate alone.';

-- One question of all new rows: which is the first that breaks a rule, and whether any carries tags, both in one number:
-- events without tags pay for one look into their metadata. Planner setting: a plan made while the table is
-- empty would scan it whole, and be kept while it grows. Scalar subqueries, since the planner cannot turn them into
-- joins or hash tables.
-- +goose StatementBegin
CREATE FUNCTION eventstream.events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    -- The key is the transaction's, so that a trigger of the user's may append too.
    v_key bigint := split_part(current_setting('eventstream.in_flight', true), ' ', 1)::bigint;
    v_last bigint := pg_sequence_last_value('eventstream.events_position_seq'::regclass);
    -- The position of the first row that breaks a rule; the highest number if none does, or one less if a row carries
    -- tags; NULL if there is no row.
    v_bad bigint;
    v_waits boolean;
    v_above boolean;
    v_event eventstream.events;
BEGIN
    IF TG_RELID <> 'eventstream.events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.events');
    END IF;
    SELECT min(CASE WHEN
            CASE
                WHEN n.version = 1 THEN
                    eventstream.is_name(n.stream_id) AND eventstream.is_tenant_id(n.tenant_id) AND eventstream.is_partition(n.partition_id)
                WHEN n.version > 1 THEN (
                    SELECT e.position < n.position AND e.tenant_id = n.tenant_id AND e.partition_id = n.partition_id
                    FROM eventstream.events AS e
                    WHERE e.stream_id = n.stream_id AND e.version = n.version - 1
                )
            END
            AND n.position > v_key AND n.position <= v_last
            AND eventstream.is_now(n.recorded_at)
            AND eventstream.is_time(n.occurred_at)
            AND eventstream.is_content(n.event_id, n.payload, n.data, n.metadata)
            AND eventstream.is_name(n.type)
        THEN CASE WHEN n.metadata ? 'tags' THEN 9223372036854775806 ELSE 9223372036854775807 END
        ELSE least(n.position, 9223372036854775805) END),
        EXISTS (SELECT FROM eventstream.pending_events),
        EXISTS (SELECT FROM eventstream.events AS e WHERE e.position > v_last)
    INTO v_bad, v_waits, v_above
    FROM new_events AS n;
    IF v_waits AND v_bad >= 9223372036854775806 THEN
        v_bad := coalesce((
            SELECT n.position
            FROM new_events AS n
            WHERE (SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = n.stream_id AND w.version = n.version) OR n.version = 1 AND (
                SELECT true FROM eventstream.pending_events AS w
                WHERE w.stream_id = n.stream_id AND (w.tenant_id <> n.tenant_id OR w.partition_id <> n.partition_id)
                LIMIT 1)
            LIMIT 1), v_bad);
    END IF;
    IF v_bad < 9223372036854775806 THEN
        SELECT n.* INTO v_event FROM new_events AS n WHERE least(n.position, 9223372036854775805) = v_bad LIMIT 1;
        PERFORM eventstream.refuse_event(v_event);
    ELSIF v_bad IS NULL THEN
        PERFORM eventstream.refuse_swallowed();
    ELSIF v_above THEN
        -- Or another writer drew in between.
        PERFORM eventstream.refuse_sequence();
    END IF;
    IF v_bad < 9223372036854775807 THEN
        PERFORM eventstream.hold_tags(array_agg(n.type), array_agg(n.metadata -> 'tags')) FROM new_events AS n WHERE n.metadata ? 'tags';
        -- A later statement, which sees whoever had the locks before.
        PERFORM eventstream.refuse_overtaken(max(n.position), array_agg(n.position) FILTER (WHERE n.metadata ? 'decided'),
            array_agg(n.position) FILTER (WHERE n.metadata ? 'tags'), array_agg(n.type) FILTER (WHERE n.metadata ? 'tags'),
            array_agg(n.metadata -> 'tags') FILTER (WHERE n.metadata ? 'tags'))
        FROM new_events AS n;
    END IF;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.events_gate() IS
    'Trigger, after INSERT on events: demands that each new row follows its predecessor, and that its values are in '
    'order; holds the tags of those that carry any.';

CREATE TRIGGER events_gate
    AFTER INSERT ON eventstream.events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate();

COMMENT ON TRIGGER events_gate ON eventstream.events IS 'Keeps every stream gapless.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.pending_events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    r record;
BEGIN
    IF TG_RELID <> 'eventstream.pending_events'::regclass THEN
        PERFORM eventstream.refuse_borrowed(TG_RELID::regclass::text, 'eventstream.pending_events');
    END IF;
    FOR r IN
        SELECT n.*, s.tenant_id AS stream_tenant, s.partition_id AS stream_partition, s.position IS NOT NULL AS has_events,
            (SELECT e.event_id FROM eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = n.version) AS taken_by
        FROM new_events AS n
        CROSS JOIN LATERAL (
            -- The stream's first event, or else one that waits: of another tenant or partition, if there is one.
            SELECT e.tenant_id, e.partition_id, e.position FROM eventstream.events AS e WHERE e.stream_id = n.stream_id AND e.version = 1
            UNION ALL
            (SELECT w.tenant_id, w.partition_id, NULL FROM eventstream.pending_events AS w WHERE w.stream_id = n.stream_id
                ORDER BY (w.tenant_id, w.partition_id) = (n.tenant_id, n.partition_id), w.version LIMIT 1)
            LIMIT 1
        ) AS s
        ORDER BY n.stream_id, n.version
    LOOP
        PERFORM eventstream.refuse_values(r.stream_id, r.tenant_id, r.partition_id, r.type, r.metadata, r.occurred_at);
        IF eventstream.is_content(r.event_id, r.payload, r.data, r.metadata) IS NOT TRUE THEN
            PERFORM eventstream.refuse_content(r.event_id, r.payload, r.data, r.metadata);
        END IF;
        IF r.version < 1 THEN
            PERFORM eventstream.refuse_value('version', r.version::text, '1 or more');
        ELSIF r.tenant_id <> r.stream_tenant THEN
            PERFORM eventstream.refuse_tenant(r.stream_id, r.stream_tenant, r.tenant_id);
        ELSIF r.partition_id <> r.stream_partition THEN
            PERFORM eventstream.refuse_partition(r.stream_id, r.stream_partition, r.partition_id);
        ELSIF r.taken_by IS NOT NULL THEN
            PERFORM eventstream.refuse(
                'ES002',
                format('version %s of stream %L cannot wait: it exists as event %s', r.version, r.stream_id, r.taken_by),
                jsonb_build_object('stream_id', r.stream_id, 'version', r.version, 'event_id', r.taken_by),
                'Use eventstream.ingest, which knows what exists.');
        END IF;
    END LOOP;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.pending_events_gate() IS
    'Trigger, after INSERT on pending_events: refuses values that could never enter events, and what cannot wait.';

CREATE TRIGGER pending_events_gate
    AFTER INSERT ON eventstream.pending_events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_gate();

COMMENT ON TRIGGER pending_events_gate ON eventstream.pending_events IS 'Keeps out what could never enter events.';

REVOKE EXECUTE ON FUNCTION eventstream.in_flight_key(bigint) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.lock_tags(integer[], integer[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.hold_tags(text[], jsonb[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.hold_tags_of_batch(text[], jsonb[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.tag_keys(text[], jsonb[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.tag_key(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.tag_type_key(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.refuse_tags(jsonb) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.refuse_overtaken(bigint, bigint[], bigint[], text[], jsonb[]) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.events_in_flight() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.events_gate() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION eventstream.pending_events_gate() FROM PUBLIC;

-- +goose Down
DROP TRIGGER pending_events_gate ON eventstream.pending_events;
DROP TRIGGER events_gate ON eventstream.events;
DROP TRIGGER events_in_flight ON eventstream.events;
DROP FUNCTION eventstream.pending_events_gate();
DROP FUNCTION eventstream.events_gate();
DROP FUNCTION eventstream.refuse_overtaken(bigint, bigint[], bigint[], text[], jsonb[]);
DROP FUNCTION eventstream.matches_query(jsonb, text, jsonb);
DROP FUNCTION eventstream.hold_tags_of_batch(text[], jsonb[]);
DROP FUNCTION eventstream.hold_tags(text[], jsonb[]);
DROP FUNCTION eventstream.lock_tags(integer[], integer[]);
DROP FUNCTION eventstream.tag_keys(text[], jsonb[]);
DROP FUNCTION eventstream.refuse_tags(jsonb);
DROP FUNCTION eventstream.tag_type_key(text);
DROP FUNCTION eventstream.tag_key(text);
DROP FUNCTION eventstream.events_in_flight();
DROP FUNCTION eventstream.in_flight_key(bigint);
