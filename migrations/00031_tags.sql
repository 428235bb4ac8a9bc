-- +goose Up
-- Tags: what an event is about beside its stream, and decisions that rest on all events of some tags (a dynamic
-- consistency boundary). An event's tags are the array of strings under the key "tags" of its metadata: they travel
-- with the event through COPY, ingest, import and every client, and events without any cost nothing.
--
-- A decision (append_if) holds the tags that it asks for, exclusively; who writes an event holds its tags and its type,
-- shared. Both until the transaction ends; the gate's part is in 00006_tag_locks.sql. docs/design.md, "Tags", has the
-- argument, interleaving by interleaving.
-- Locks: none at install. At run time, advisory locks of the tags and types in hand, in order of their keys. For
-- decisions on positions far back, the operator makes the index that docs/modelling-tags.md gives, with CREATE INDEX
-- CONCURRENTLY.
-- +goose StatementBegin

CREATE FUNCTION eventstream.refuse_query(p_query jsonb, p_rule text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.refuse_value('query', p_query::text, p_rule);
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_query IS 'Raises ES008: a query is none. Never returns.';

CREATE FUNCTION eventstream.check_query(p_query jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_fits boolean;
BEGIN
    IF jsonb_typeof(p_query) IS DISTINCT FROM 'array' THEN
        PERFORM eventstream.refuse_query(p_query, 'an array of alternatives like {"types": ["a"], "tags": ["b"]}');
    ELSIF jsonb_array_length(p_query) NOT BETWEEN 1 AND 32 THEN
        PERFORM eventstream.refuse_query(p_query, 'of 1 to 32 alternatives');
    END IF;
    SELECT bool_and(CASE WHEN jsonb_typeof(a) = 'object' AND coalesce(jsonb_typeof(a -> 'types'), 'array') = 'array'
            AND coalesce(jsonb_typeof(a -> 'tags'), 'array') = 'array'
        THEN (a - 'types' - 'tags') = '{}' AND jsonb_array_length(coalesce(a -> 'tags', '[]')) <= 32
            AND jsonb_array_length(coalesce(a -> 'types', '[]')) <= 32
            AND jsonb_path_exists(a, 'lax $.*[*]')
            AND NOT jsonb_path_exists(a, 'lax $.*[*] ? (@.type() != "string")')
            AND (SELECT bool_and(eventstream.is_name(n))
                FROM jsonb_array_elements_text(coalesce(a -> 'types', '[]') || coalesce(a -> 'tags', '[]')) AS n)
        ELSE false END)
    INTO v_fits
    FROM jsonb_array_elements(p_query) AS a;
    IF v_fits IS NOT TRUE THEN
        PERFORM eventstream.refuse_query(p_query, 'of alternatives like {"types": ["a"], "tags": ["b"]}, with at least '
            'one type or tag and at most 32 of each, valid as an event type and as a tag');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.check_query IS
    'Raises ES008 for what is not a query: an array of 1 to 32 alternatives, each with types, tags, or both.';

-- What a query locks. A matching event carries all tags of an alternative, and its writer holds the lock of each: one is
-- enough, so it is the first, and who asks puts the tag first that the fewest events carry. Without tags, the types.
CREATE FUNCTION eventstream.query_keys(p_query jsonb) RETURNS integer[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT array_agg(DISTINCT k.key)
        FROM jsonb_array_elements(p_query) AS a
        CROSS JOIN LATERAL (
            SELECT eventstream.tag_key(a -> 'tags' ->> 0) AS key WHERE a -> 'tags' ->> 0 IS NOT NULL
            UNION ALL
            SELECT eventstream.tag_type_key(y) FROM jsonb_array_elements_text(a -> 'types') AS y WHERE a -> 'tags' ->> 0 IS NULL
        ) AS k);
END;
$$;

COMMENT ON FUNCTION eventstream.query_keys IS
    'Keys that a decision on a query holds: the first tag of each alternative, or its types if it has no tags.';

-- What was archived is searched by tags for as long as the store lives, and an index on a table that nobody appends to costs
-- no append: it is not left to the operator, as that of events is.
CREATE INDEX archived_events_tags_idx ON eventstream.archived_events
    USING gin ((metadata -> 'tags') jsonb_path_ops) WHERE metadata ? 'tags';
ALTER INDEX eventstream.archived_events_tags_idx ALTER COLUMN 1 SET STATISTICS 0;

COMMENT ON INDEX eventstream.archived_events_tags_idx IS 'Archived events by their tags.';

-- By the index of tags. The position is no condition that an index serves here (+ 0), and enable_indexscan is off, so
-- that the planner has one way left for any statistics.
CREATE FUNCTION eventstream.find_by_tags(p_query jsonb, p_after bigint, p_until bigint, p_limit integer) RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_indexscan = off
SET enable_indexonlyscan = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT DISTINCT f.position
    FROM jsonb_array_elements(p_query) AS a
    CROSS JOIN LATERAL (
        SELECT e.position
        FROM eventstream.events AS e
        WHERE e.metadata ? 'tags' AND e.metadata -> 'tags' @> (a -> 'tags')
            AND e.position + 0 > p_after AND e.position + 0 <= p_until
            AND (NOT a ? 'types' OR a -> 'types' = '[]' OR a -> 'types' ? e.type)
        OFFSET 0
    ) AS f
    ORDER BY f.position
    LIMIT p_limit;
END;
$$;

COMMENT ON FUNCTION eventstream.find_by_tags IS 'find_matching() by the index events_tags_idx.';

-- A decision on a recent position goes through what came after it, which is little. Further back, the index of tags is
-- used if the operator has made it, and every alternative has a tag.
CREATE FUNCTION eventstream.find_matching(p_query jsonb, p_after bigint, p_until bigint, p_limit integer) RETURNS SETOF bigint
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
BEGIN
    IF p_until - p_after > 1000 AND NOT jsonb_path_exists(p_query, 'lax $[*] ? (!exists(@.tags[*]))') AND EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indexrelid = to_regclass('eventstream.events_tags_idx') AND i.indisvalid
            AND i.indrelid = 'eventstream.events'::regclass
    ) THEN
        RETURN QUERY SELECT f FROM eventstream.find_by_tags(p_query, p_after, p_until, p_limit) AS f;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.position
    FROM eventstream.events AS e
    WHERE e.position > p_after AND e.position <= p_until AND e.metadata ? 'tags'
        AND eventstream.matches_query(p_query, e.type, e.metadata -> 'tags')
    ORDER BY e.position
    LIMIT p_limit;
END;
$$;

COMMENT ON FUNCTION eventstream.find_matching IS
    'Positions above p_after, up to p_until, of events that carry tags and match a query, in order.';

CREATE FUNCTION eventstream.read_query(p_query jsonb, p_after bigint, p_until bigint, p_limit integer) RETURNS SETOF eventstream.events
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM eventstream.check_query(p_query);
    RETURN QUERY
    SELECT e.*
    FROM eventstream.find_matching(p_query, p_after, p_until, p_limit) AS f (position)
    CROSS JOIN LATERAL (SELECT k.* FROM eventstream.events AS k WHERE k.position = f.position OFFSET 0) AS e
    ORDER BY e.position;
END;
$$;

COMMENT ON FUNCTION eventstream.read_query IS
    'Events above p_after, up to p_until, that carry tags and match a query, in order of position. p_until is a stable '
    'position that an earlier statement read: the position to decide on.';

-- A later statement reads the events, as with stable_position(). What is committed above the stable position would make
-- a decision fail that is made up to it: who reads may want to wait for a moment.
CREATE FUNCTION eventstream.query_position(p_query jsonb, OUT read_until bigint, OUT is_ahead boolean, OUT is_kept boolean)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    PERFORM eventstream.check_query(p_query);
    read_until := eventstream.stable_position();
    is_kept := current_setting('transaction_isolation') IN ('repeatable read', 'serializable');
    is_ahead := EXISTS (SELECT FROM eventstream.find_matching(p_query, read_until, read_until + 1000, 1));
END;
$$;

COMMENT ON FUNCTION eventstream.query_position IS
    'The stable position, up to which a later statement reads what a decision is made on; and whether an event above '
    'it matches the query already; and whether it is the position that log_state keeps, as in a transaction of one '
    'snapshot.';

-- Where the note of a decision goes: its last event in order of position, which is that of stream and version.
CREATE FUNCTION eventstream.note_decision(
    p_query jsonb,
    p_position bigint,
    p_stream_ids text[],
    p_event_counts integer[],
    p_types text[],
    p_metadata jsonb[]
) RETURNS jsonb[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_metadata jsonb[] := coalesce(p_metadata, array_fill('{}'::jsonb, ARRAY[cardinality(p_types)]));
    v_at integer;
BEGIN
    SELECT u.ends INTO v_at
    FROM (
        SELECT r.stream_id, r.n, sum(r.events) OVER (ORDER BY r.n) AS ends
        FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS r (stream_id, events, n)
    ) AS u
    ORDER BY u.stream_id COLLATE "C" DESC, u.n DESC
    LIMIT 1;
    -- What is no object, the gate refuses.
    IF jsonb_typeof(coalesce(v_metadata[v_at], '{}')) = 'object' THEN
        v_metadata[v_at] := coalesce(v_metadata[v_at], '{}')
            || jsonb_build_object('decided', jsonb_build_object('query', p_query, 'position', p_position));
    END IF;
    RETURN v_metadata;
END;
$$;

COMMENT ON FUNCTION eventstream.note_decision IS
    'Metadata of a batch with a decision noted in its last event, under the key decided: its query and its position.';

CREATE FUNCTION eventstream.check_decision(p_position bigint, p_event_ids uuid[], p_events integer) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_last bigint := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    v_existing bigint := (SELECT count(*) FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids));
BEGIN
    IF p_position IS NULL OR p_position < 0 THEN
        PERFORM eventstream.refuse_value('position', p_position::text, '0 or more: the one that the query was read up to');
    ELSIF p_position > v_last THEN
        PERFORM eventstream.refuse_beyond_end('position', p_position, v_last);
    -- In one snapshot for all statements, what was appended before the locks were there cannot be seen, but for what
    -- is at or below the position that the snapshot knows as stable.
    ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable')
        AND v_last > (SELECT l.stable_position FROM eventstream.log_state AS l WHERE l.lane = 0)
    THEN
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure',
            MESSAGE = 'events may have been appended after the snapshot of this transaction was taken',
            HINT = 'Decide in a READ COMMITTED transaction, which sees them; or run the transaction again.';
    ELSIF v_existing > 0 AND v_existing < p_events THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('%s of %s events of the decision exist already', v_existing, p_events),
            jsonb_build_object('problem', 'is new, while others of this append exist already'),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
    RETURN v_existing > 0;
END;
$$;

COMMENT ON FUNCTION eventstream.check_decision IS
    'Whether a decision was made before, by the ids of its events; raises ES008, ES013, ES005 or 40001 if it cannot be '
    'judged. For append_if alone, once it holds its tags.';

-- Hold the tags, look, append. The locks are taken by a statement of its own: the next one sees what they waited for.
CREATE FUNCTION eventstream.append_if(
    p_query jsonb,
    p_position bigint,
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[] DEFAULT NULL,
    p_metadata jsonb[] DEFAULT NULL,
    p_occurred_at timestamptz[] DEFAULT NULL,
    p_tenant_ids text[] DEFAULT NULL,
    p_partition_ids integer[] DEFAULT NULL
) RETURNS TABLE (
    request integer,
    outcome text,
    first_version bigint,
    last_version bigint,
    last_position bigint,
    current_version bigint,
    watermark bigint,
    tenant_id text,
    found_position bigint
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    v_found bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.check_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, p_tenant_ids, p_partition_ids, NULL);
    PERFORM eventstream.hold_tags_of_batch(p_types, p_metadata, eventstream.query_keys(p_query));
    IF NOT eventstream.check_decision(p_position, p_event_ids, cardinality(p_types)) THEN
        SELECT f INTO v_found FROM eventstream.find_matching(p_query, p_position,
            pg_sequence_last_value('eventstream.events_position_seq'::regclass), 1) AS f;
        IF FOUND THEN
            RETURN QUERY SELECT n, 'decision_conflict', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text,
                v_found FROM generate_subscripts(p_stream_ids, 1) AS n;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT b.request, b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id, NULL::bigint
    FROM eventstream.append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data,
        eventstream.note_decision(p_query, p_position, p_stream_ids, p_event_counts, p_types, p_metadata),
        p_occurred_at, p_tenant_ids, p_partition_ids) AS b;
END;
$$;

COMMENT ON FUNCTION eventstream.append_if IS
    'append_batch, all or nothing, if no event that carries tags and matches p_query came after p_position; else the '
    'outcome is decision_conflict, and found_position the first such event. p_query: an array of alternatives like '
    '{"types": [...], "tags": [...]}, of which an event has one of the types and all of the tags. p_position: up to '
    'which the query was read (query_position), or last_position of an append_if with the same query.';

-- Decide under the lock, where many want to decide the same: nobody's work is lost, and waiters get in in order of arrival.
-- The position is the sequence's: who has drawn below it and is not committed cannot pass the gate while the tags are
-- held, and is refused there if something is appended on the ground of this.
CREATE FUNCTION eventstream.lock_query(p_query jsonb) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_last bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.lock_tags(eventstream.query_keys(p_query), NULL);
    v_last := coalesce(pg_sequence_last_value('eventstream.events_position_seq'::regclass), 0);
    PERFORM eventstream.check_decision(v_last, NULL, 0);
    RETURN v_last;
END;
$$;

COMMENT ON FUNCTION eventstream.lock_query IS
    'Keeps others from appending what matches the query until the transaction ends, and returns the position to read '
    'up to, in a later statement, and to decide on with append_if.';

REVOKE EXECUTE ON FUNCTION
    eventstream.query_keys, eventstream.lock_query, eventstream.append_if, eventstream.check_decision,
    eventstream.note_decision
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.append_if, eventstream.lock_query, eventstream.check_decision, eventstream.note_decision,
    eventstream.query_position, eventstream.read_query, eventstream.find_matching, eventstream.find_by_tags;
DROP INDEX eventstream.archived_events_tags_idx;
DROP FUNCTION eventstream.query_keys, eventstream.check_query, eventstream.refuse_query;
