-- +goose Up
-- Tags: what whoever writes an event with tags holds until its transaction ends, so that nobody decides without seeing
-- it. The gate asks for it (00007_gate.sql); what decisions are is in 00031_tags.sql, and why it holds in
-- docs/design.md, "Tags".
-- Locks: none at install. At run time, advisory locks of tags and types, in order of their keys.
-- +goose StatementBegin

-- Events may carry tags, on which decisions rest. Who writes one holds its tags and its type, shared,
-- until the transaction ends; a decision holds what it asks for, exclusively.
CREATE FUNCTION eventstream.tag_key(p_tag text) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN hashtext(('tag ' || p_tag) COLLATE "C");

COMMENT ON FUNCTION eventstream.tag_key IS
    'Second key of the advisory lock of a tag; the first is 1163157863 (ETag). Two tags may share one: then they share '
    'the lock.';

CREATE FUNCTION eventstream.tag_type_key(p_type text) RETURNS integer
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN hashtext(('type ' || p_type) COLLATE "C");

COMMENT ON FUNCTION eventstream.tag_type_key IS
    'Second key of the advisory lock of a type, for queries by type alone; the first is that of tags.';

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

COMMENT ON FUNCTION eventstream.refuse_tags IS
    'Raises ES008: the tags in the metadata of an event are none. Never returns.';

-- Of many events at once, in one query. What is not an array of strings is told apart before it is taken apart.
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

COMMENT ON FUNCTION eventstream.tag_keys IS
    'Keys of the locks that the writer of tagged events holds: their tags, and their types. ES008 for tags that are '
    'none.';

-- In order of the key, whoever locks: two calls never wait for each other. Locks live in shared memory, so their number
-- is bounded: a transaction that needs more than 128 holds one in place of those of what it writes, which decisions
-- share, and which keeps all of them waiting; other writers do not look at it. What a decision asks for it holds in any
-- case, since writers hold nothing else. Counted, not remembered by name: what a setting says may be forged, and a
-- wrong count costs memory or patience, never a lock.
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

COMMENT ON FUNCTION eventstream.lock_tags IS
    'Holds keys of tags and types until the transaction ends: p_decide exclusively, p_write shared; after 128 in a '
    'transaction, one lock (1163157868, ETal) in place of those of p_write.';

-- The gate calls this for the rows that carry tags. append_batch and append_event do before they draw positions, so that
-- they are never too late (events_gate says what that is).
CREATE FUNCTION eventstream.hold_tags(p_types text[], p_tags jsonb[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.lock_tags(NULL, eventstream.tag_keys(p_types, p_tags));
END;
$$;

COMMENT ON FUNCTION eventstream.hold_tags IS
    'Keeps decisions on these tags and types waiting until the transaction ends; other writers of them do not wait.';

CREATE FUNCTION eventstream.hold_tags_of_batch(
    p_types text[],
    p_metadata jsonb[],
    p_decide integer[] DEFAULT NULL
) RETURNS void
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
    IF v_tags IS NOT NULL OR p_decide IS NOT NULL THEN
        PERFORM eventstream.lock_tags(p_decide, eventstream.tag_keys(v_types, v_tags));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.hold_tags_of_batch IS
    'hold_tags() for those events of a batch that carry tags, together with the keys that a decision holds '
    '(query_keys).';

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

COMMENT ON FUNCTION eventstream.matches_query IS
    'Whether an event of this type with these tags matches one of the alternatives of a query.';

-- What the gate asks once it holds the tags of rows that were inserted before. A decision that was made between their
-- draw and the lock did not see them, though they are below it: it left its query in its last event. p_last is the
-- statement's last position, p_own where its own notes are, and the rest is an element a row that carries tags.
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

COMMENT ON FUNCTION eventstream.refuse_overtaken IS
    'Raises ES006 if a decision that asked for events like these was made after they drew their positions and before '
    'they had their locks; 40001 where the snapshot is too old to see it. For events_gate alone.';

REVOKE EXECUTE ON FUNCTION
    eventstream.lock_tags, eventstream.hold_tags, eventstream.hold_tags_of_batch, eventstream.tag_keys,
    eventstream.tag_key, eventstream.tag_type_key, eventstream.refuse_tags, eventstream.refuse_overtaken
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.refuse_overtaken, eventstream.matches_query, eventstream.hold_tags_of_batch, eventstream.hold_tags,
    eventstream.lock_tags, eventstream.tag_keys, eventstream.refuse_tags, eventstream.tag_type_key, eventstream.tag_key;
