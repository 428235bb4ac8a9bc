-- +goose Up
-- The gate: every row that enters eventstream.events passes here, whoever writes it: append_batch, INSERT, COPY, MERGE.
-- It checks, and writes nothing: it keeps streams gapless, in one tenant and one partition, with positions in the order
-- of versions. It reads the streams in hand, the sequence and advisory locks of its own; nothing that all writers
-- share.
-- Locks: SHARE ROW EXCLUSIVE on events and pending_events for the moment of CREATE TRIGGER. At run time, each writer's
-- transaction holds one shared advisory lock.
-- +goose StatementBegin

-- A position is drawn before its transaction commits, so a reader of the log must know which numbers can still appear.
-- A writer says so with a shared lock whose key is the sequence's last value before it draws: all of its positions are
-- above the key. The lock falls with the transaction, whatever its end. The high 16 bits ('ES') keep the key apart from
-- the advisory locks of others; the low 48 hold the number, without the node part of a distributed install.
CREATE FUNCTION eventstream.in_flight_key(p_position bigint) RETURNS bigint
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN 4995336411684012032 | (p_position & 281474976710655);

COMMENT ON FUNCTION eventstream.in_flight_key IS
    'Key of the advisory lock that a writer holds while its positions, all above p_position, are not committed yet.';

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

COMMENT ON FUNCTION eventstream.events_in_flight IS
    'Trigger, before INSERT on events: takes the in-flight lock, before any position is drawn.';

CREATE TRIGGER events_in_flight
    BEFORE INSERT ON eventstream.events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_in_flight();

COMMENT ON TRIGGER events_in_flight ON eventstream.events IS 'Marks positions that are not committed yet.';

-- One question of all new rows: which is the first that breaks a rule, and whether any carries tags, both in one number:
-- events without tags pay for one look into their metadata. Planner setting: a plan made while the table is
-- empty would scan it whole, and be kept while it grows. Scalar subqueries, since the planner cannot turn them into
-- joins or hash tables.
-- One kept plan: left to itself, a session that wrote many rows at once takes that plan to be dear for one row, and makes
-- another for each statement, which costs three times what the append does.
CREATE FUNCTION eventstream.events_gate() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
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
                    SELECT e.position < n.position AND e.tenant_id = n.tenant_id AND e.partition_id = n.partition_id AND e.type <> '$closed'
                    FROM ONLY eventstream.events AS e
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
        EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.position > v_last)
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

COMMENT ON FUNCTION eventstream.events_gate IS
    'Trigger, after INSERT on events: demands that each new row follows its predecessor, and that its values are in '
    'order; holds the tags of those that carry any.';

CREATE TRIGGER events_gate
    AFTER INSERT ON eventstream.events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.events_gate();

COMMENT ON TRIGGER events_gate ON eventstream.events IS 'Keeps every stream gapless.';

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

COMMENT ON FUNCTION eventstream.pending_events_gate IS
    'Trigger, after INSERT on pending_events: refuses values that could never enter events, and what cannot wait.';

CREATE TRIGGER pending_events_gate
    AFTER INSERT ON eventstream.pending_events
    REFERENCING NEW TABLE AS new_events
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.pending_events_gate();

COMMENT ON TRIGGER pending_events_gate ON eventstream.pending_events IS 'Keeps out what could never enter events.';

REVOKE EXECUTE ON FUNCTION
    eventstream.in_flight_key, eventstream.events_in_flight, eventstream.events_gate, eventstream.pending_events_gate
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER pending_events_gate ON eventstream.pending_events;
DROP TRIGGER events_gate ON eventstream.events;
DROP TRIGGER events_in_flight ON eventstream.events;
DROP FUNCTION
    eventstream.pending_events_gate, eventstream.events_gate, eventstream.events_in_flight, eventstream.in_flight_key;
