-- +goose Up
-- What an append is judged by: the head that it locks or creates, the events that are there already, the expectation, and the shape of
-- the call.
-- Locks: none at install. At run time the heads of the streams in hand, in order of stream_id.

-- Holds the row of a stream that is not there yet: an empty head, created by one of all who try, before any position is drawn.
-- +goose StatementBegin
CREATE FUNCTION eventstream.create_head(
    p_stream_id text,
    p_tenant_id text,
    p_partition_id integer
) RETURNS boolean
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    v_created boolean;
BEGIN
    PERFORM set_config('eventstream.gate', 'create', true);
    -- Waits for another transaction that creates this stream: false when it won, and its head is then there to be locked.
    INSERT INTO eventstream.streams (partition_id, stream_id, tenant_id)
    VALUES (
        coalesce(p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
        p_stream_id,
        coalesce(p_tenant_id, 'default'))
    ON CONFLICT ON CONSTRAINT streams_pkey DO NOTHING;
    v_created := FOUND;
    PERFORM set_config('eventstream.gate', '', true);
    RETURN v_created;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.create_head(text, text, integer) IS
    'Creates the empty head of a stream and holds its lock; false when another transaction created it first. For append and ingest.';

-- One statement locks the heads that are there and creates those that are not, in order of stream_id, so that two batches never wait for
-- each other. ON CONFLICT DO UPDATE locks the row before it finds that there is nothing to update.
-- +goose StatementBegin
CREATE FUNCTION eventstream.create_heads(
    p_stream_ids text[],
    p_expected bigint[],
    p_tenant_ids text[],
    p_partition_ids integer[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_ignored text;
BEGIN
    v_ignored := set_config('eventstream.gate', 'create', true);
    INSERT INTO eventstream.streams AS s (partition_id, stream_id, tenant_id)
    SELECT
        -- The row of a head that is seen stays, and this value is not used: the hash is spared.
        CASE
            WHEN u.is_there THEN 0
            ELSE coalesce(u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count()))
        END,
        u.stream_id,
        coalesce(u.tenant_id, 'default')
    FROM (
        SELECT DISTINCT ON (q.stream_id COLLATE "C")
            q.stream_id, nullif(q.tenant_id, '') AS tenant_id, nullif(q.partition_id, -1) AS partition_id,
            (SELECT true FROM eventstream.streams AS h WHERE h.stream_id = q.stream_id) AS is_there
        FROM unnest(p_stream_ids, p_expected, p_tenant_ids, p_partition_ids)
            WITH ORDINALITY AS q (stream_id, expected, tenant_id, partition_id, ordinality)
        -- Of several requests for a new stream, the first that can create it decides where it goes. One that cannot has its head
        -- all the same, to hold the lock; it is dropped when it stays empty.
        ORDER BY q.stream_id COLLATE "C", q.expected NOT IN (-3, -1, 0), q.ordinality
    ) AS u
    ORDER BY u.stream_id COLLATE "C"
    ON CONFLICT ON CONSTRAINT streams_pkey DO UPDATE SET stream_id = EXCLUDED.stream_id WHERE false;
    v_ignored := set_config('eventstream.gate', '', true);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.create_heads(text[], bigint[], text[], integer[]) IS
    'create_head for many streams: creates the heads that are missing and locks them all. For append_batch alone.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.drop_empty_heads(p_stream_ids text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM set_config('eventstream.gate', 'create', true);
    DELETE FROM eventstream.streams AS s WHERE s.stream_id = ANY (p_stream_ids) AND s.current_version = 0;
    PERFORM set_config('eventstream.gate', '', true);
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.drop_empty_heads(text[]) IS
    'Takes back the empty heads that an append created to hold their locks and then left empty. For append_batch alone.';

-- An append whose event ids are there already: the same append again, or an error.
-- +goose StatementBegin
CREATE FUNCTION eventstream.find_duplicate(
    p_stream_id text,
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    OUT first_version bigint,
    OUT last_version bigint,
    OUT last_position bigint
)
LANGUAGE plpgsql
SET search_path = ''
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_found bigint;
    v_bad record;
BEGIN
    SELECT count(*), min(e.version), max(e.version), max(e.position)
    INTO v_found, first_version, last_version, last_position
    FROM eventstream.events AS e
    WHERE e.event_id = ANY (p_event_ids);
    IF v_found = 0 THEN
        RETURN;
    END IF;

    -- The first event that is not where a repetition of the same append would have it.
    SELECT
        u.event_id,
        e.stream_id,
        e.version,
        CASE
            WHEN e.event_id IS NULL THEN 'is new, while others of this append are there already'
            WHEN e.stream_id <> p_stream_id THEN 'is there already, in another stream'
            WHEN e.version <> find_duplicate.first_version + u.ordinality - 1 THEN 'is there already, in another order'
            ELSE 'is there already, with other content'
        END AS problem
    INTO v_bad
    FROM unnest(p_event_ids, p_types, p_payloads, p_data) WITH ORDINALITY AS u (event_id, type, payload, data, ordinality)
    LEFT JOIN eventstream.events AS e ON e.event_id = u.event_id
    WHERE e.event_id IS NULL
        OR e.stream_id <> p_stream_id
        OR e.version <> find_duplicate.first_version + u.ordinality - 1
        OR e.type <> u.type
        OR e.payload <> coalesce(u.payload, 'null')
        OR e.data IS DISTINCT FROM u.data
    ORDER BY e.event_id IS NULL, u.ordinality
    LIMIT 1;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s of the append to stream %L %s', v_bad.event_id, p_stream_id, v_bad.problem),
            jsonb_build_object('event_id', v_bad.event_id, 'stream_id', p_stream_id,
                'found_stream_id', v_bad.stream_id, 'found_version', v_bad.version, 'problem', v_bad.problem),
            'A retry repeats the same events in the same order. Anything else needs event ids of its own.');
    END IF;
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.find_duplicate(text, uuid[], text[], jsonb[], bytea[]) IS
    'First result of an append that is there already; NULLs when none of its event ids is; ES005 when they are used for something else.';

-- What becomes of a request, given the head of its stream: NULL when it can be appended.
CREATE FUNCTION eventstream.judge(
    p_expected bigint,
    p_tenant_id text,
    p_head_tenant_id text,
    p_current_version bigint,
    p_watermark bigint
) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN p_tenant_id <> p_head_tenant_id THEN 'tenant_mismatch'
        WHEN p_current_version > p_watermark THEN 'gap'
        WHEN p_expected = -1 OR p_expected = p_current_version THEN NULL
        WHEN p_expected = -2 THEN CASE WHEN p_current_version = 0 THEN 'stream_missing' END
        WHEN p_expected = -3 THEN CASE WHEN p_current_version > 0 THEN 'stream_exists' END
        ELSE 'version_conflict'
    END
$$;

COMMENT ON FUNCTION eventstream.judge(bigint, text, text, bigint, bigint) IS
    'Outcome of a request that its stream refuses; NULL when it may be appended. Duplicates are found before.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_partition(
    p_stream_id text,
    p_stream_partition integer,
    p_event_partition integer
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
BEGIN
    PERFORM eventstream.refuse(
        'ES007',
        format('stream %L is in partition %s, the event in partition %s', p_stream_id, p_stream_partition, p_event_partition),
        jsonb_build_object('stream_id', p_stream_id, 'stream_partition', p_stream_partition,
            'event_partition', p_event_partition),
        'A stream stays in the partition that it was created in. Give that one, or none.');
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_partition(text, integer, integer) IS 'Raises ES007 (partition mismatch). Never returns.';

-- +goose StatementBegin
CREATE FUNCTION eventstream.batch_adds_up(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_events integer
) RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
SET search_path = ''
AS $$
BEGIN
    RETURN cardinality(p_stream_ids) >= 1 AND (
        SELECT bool_and(q.stream_id IS NOT NULL AND coalesce(q.expected >= -3 AND q.events >= 1, false))
            AND sum(q.events) = p_events
        FROM unnest(p_stream_ids, p_expected, p_event_counts) AS q (stream_id, expected, events)
    );
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.batch_adds_up(text[], bigint[], integer[], integer) IS
    'Whether the requests of a batch are complete and have as many events as are given. For append_batch alone.';

-- The shape of the arguments: why a batch that does not fit together is refused. Slow, and called only when something is wrong.
-- +goose StatementBegin
CREATE FUNCTION eventstream.refuse_batch(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_events integer,
    p_event_lengths integer[],
    p_request_lengths integer[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = ''
AS $$
DECLARE
    v_requests integer := coalesce(cardinality(p_stream_ids), 0);
BEGIN
    IF p_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', p_events::text, 'at most 100000 in one call');
    ELSIF v_requests = 0 OR EXISTS (SELECT FROM unnest(p_event_counts) AS c WHERE coalesce(c, 0) < 1) THEN
        PERFORM eventstream.refuse_value('number of events', coalesce(p_event_counts::text, '0'), 'at least 1 for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_stream_ids) AS s WHERE s IS NULL) THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given for each request');
    ELSIF EXISTS (SELECT FROM unnest(p_expected) AS e WHERE coalesce(e, -4) < -3) THEN
        PERFORM eventstream.refuse_value('expected version', p_expected::text,
            '0 or more, or -1 (any), -2 (exists) or -3 (empty)');
    ELSIF v_requests <> ALL (p_request_lengths) THEN
        PERFORM eventstream.refuse_value('batch', p_request_lengths::text,
            format('arrays of %s elements for what is given per request', v_requests));
    END IF;
    PERFORM eventstream.refuse_value('batch', p_event_lengths::text,
        format('arrays of %s elements for what is given per event, as p_event_counts add up to',
            (SELECT sum(c) FROM unnest(p_event_counts) AS c)));
END;
$$;
-- +goose StatementEnd

COMMENT ON FUNCTION eventstream.refuse_batch(text[], bigint[], integer[], integer, integer[], integer[]) IS
    'Raises ES008: says why the arguments of append_batch do not fit together. Never returns.';

-- +goose Down
DROP FUNCTION eventstream.create_heads(text[], bigint[], text[], integer[]);
DROP FUNCTION eventstream.batch_adds_up(text[], bigint[], integer[], integer);
DROP FUNCTION eventstream.refuse_batch(text[], bigint[], integer[], integer, integer[], integer[]);
DROP FUNCTION eventstream.drop_empty_heads(text[]);
DROP FUNCTION eventstream.refuse_partition(text, integer, integer);
DROP FUNCTION eventstream.judge(bigint, text, text, bigint, bigint);
DROP FUNCTION eventstream.find_duplicate(text, uuid[], text[], jsonb[], bytea[]);
DROP FUNCTION eventstream.create_head(text, text, integer);
