-- +goose Up
-- What an append is judged by: the lock of its stream, the last event, the expectation, and the events that exist
-- already.
-- Locks: none at install. At run time, advisory locks of the streams in hand, in order of their keys.
-- +goose StatementBegin

-- Whoever appends first takes the lock of the stream: what it then sees stays as it is, and waiters get in in order of
-- arrival. It is no row, so nothing dead is left behind. A raw INSERT ignores it, and meets the primary key.
CREATE FUNCTION eventstream.lock_stream(p_stream_id text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1163097202, eventstream.stream_key(p_stream_id));
END;
$$;

COMMENT ON FUNCTION eventstream.lock_stream IS
    'Keeps other appenders of a stream waiting until the transaction ends, for who wants to decide first. Read the '
    'stream in a later statement, and in READ COMMITTED.';

-- Locks live in shared memory, so their number is bounded: after the first 64 streams, a transaction goes without and
-- lets the primary key settle. Whoever asks is counted, for the transaction.
CREATE FUNCTION eventstream.may_lock(p_streams integer) RETURNS boolean
LANGUAGE sql
VOLATILE
RETURN set_config(
    'eventstream.locks',
    (coalesce(nullif(current_setting('eventstream.locks', true), '')::bigint, 0) + p_streams)::text,
    true)::bigint <= 64;

COMMENT ON FUNCTION eventstream.may_lock IS
    'Whether this transaction may lock so many streams more: it locks 64 at most.';

-- Of several streams, in order of the key: two batches never wait for each other.
CREATE FUNCTION eventstream.lock_streams(p_stream_ids text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_keys integer[];
    v_ignored text;
BEGIN
    IF eventstream.may_lock(cardinality(p_stream_ids)) THEN
        v_keys := ARRAY(SELECT DISTINCT eventstream.stream_key(u.stream_id) FROM unnest(p_stream_ids) AS u (stream_id) ORDER BY 1);
        FOR i IN 1 .. cardinality(v_keys) LOOP
            v_ignored := pg_advisory_xact_lock(1163097202, v_keys[i]);
        END LOOP;
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.lock_streams IS
    'lock_stream() for the streams of a batch, in order of their keys; none at all once the transaction has asked for '
    'more than 64.';

-- What becomes of a request, given where its stream stands: NULL when it can be appended.
CREATE FUNCTION eventstream.judge(
    p_expected bigint,
    p_tenant_id text,
    p_stream_tenant text,
    p_current_version bigint,
    p_watermark bigint,
    p_last_type text
) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_tenant_id <> p_stream_tenant THEN 'tenant_mismatch'
    WHEN p_last_type = '$closed' THEN 'closed'
    WHEN p_current_version > p_watermark THEN 'gap'
    WHEN p_expected = -1 OR p_expected = p_current_version THEN NULL
    WHEN p_expected = -2 THEN CASE WHEN p_current_version = 0 THEN 'stream_missing' END
    WHEN p_expected = -3 THEN CASE WHEN p_current_version > 0 THEN 'stream_exists' END
    ELSE 'version_conflict'
END;

COMMENT ON FUNCTION eventstream.judge IS
    'Outcome of a request that its stream refuses; NULL when it may be appended. Duplicates are found before.';

-- What is to become of the requests of a batch, an element a request.
CREATE TYPE eventstream.verdicts AS (
    -- NULL as a whole when every request is to be applied; NULL for a request that another one of its unit takes down.
    outcomes text[],
    first_versions bigint[],
    last_versions bigint[],
    -- Of duplicates.
    last_positions bigint[],
    current_versions bigint[],
    watermarks bigint[],
    tenant_ids text[],
    partition_ids integer[],
    -- How many events are inserted up to the request's last one, in order of stream and version, NULL where that is the
    -- request's own number; and how many in all.
    ends integer[],
    events bigint
);

COMMENT ON TYPE eventstream.verdicts IS
    'What becomes of the requests of a batch: an array a column, an element a request.';

-- By itself, for one plan whatever the length of the array.
CREATE FUNCTION eventstream.any_exists(p_event_ids uuid[]) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM eventstream.events AS e WHERE e.event_id = ANY (p_event_ids));
END;
$$;

COMMENT ON FUNCTION eventstream.any_exists IS 'Whether one of these events is stored.';

-- One request, or several to one stream, each on its own, as they come together where a stream is hot: one look, and
-- then each after what those before it will have done. NULL if judge_closely() has to: something waits, or a request
-- that is refused may be a repetition, or would have been the first of its stream.
CREATE FUNCTION eventstream.judge_run(
    p_stream_id text,
    p_expected bigint[],
    p_event_counts integer[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_event_ids uuid[]
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_outcome text;
    v_outcomes text[];
    v_first bigint[];
    v_last bigint[];
    v_watermarks bigint[];
    v_ends integer[];
    v_now bigint;
    v_tenant_id text;
    v_partition_id integer;
    v_type text;
    v_waits boolean;
    v_applied integer := 0;
BEGIN
    SELECT coalesce(l.version, 0), l.tenant_id, l.partition_id, l.type,
        EXISTS (SELECT FROM eventstream.pending_events AS w WHERE w.stream_id = p_stream_id)
    INTO v_now, v_tenant_id, v_partition_id, v_type, v_waits
    FROM (SELECT) AS one
    LEFT JOIN LATERAL (
        SELECT e.version, e.tenant_id, e.partition_id, e.type
        FROM ONLY eventstream.events AS e
        WHERE e.stream_id = p_stream_id
        ORDER BY e.version DESC
        LIMIT 1
    ) AS l ON true;
    IF v_waits THEN
        RETURN NULL;
    ELSIF v_now = 0 THEN
        -- What a new stream is, is for its first request to say.
        v_tenant_id := coalesce(nullif(p_tenant_ids[1], ''), 'default');
        v_partition_id := coalesce(nullif(p_partition_ids[1], -1),
            eventstream.partition_of(p_stream_id, eventstream.partition_count()));
    END IF;
    -- As a rule, one request is applied: without what it takes to tell several apart.
    IF cardinality(p_expected) = 1 AND (nullif(p_partition_ids[1], -1) = v_partition_id) IS NOT FALSE
        AND eventstream.judge(p_expected[1], nullif(p_tenant_ids[1], ''), v_tenant_id, v_now, v_now, v_type) IS NULL
    THEN
        v_last := ARRAY[v_now + p_event_counts[1]];
        RETURN (NULL, ARRAY[v_now + 1], v_last, NULL, v_last, v_last, ARRAY[v_tenant_id], ARRAY[v_partition_id],
            p_event_counts, p_event_counts[1]::bigint)::eventstream.verdicts;
    END IF;
    v_first := array_fill(NULL::bigint, ARRAY[cardinality(p_expected)]);
    v_last := v_first;
    FOR i IN 1 .. cardinality(p_expected) LOOP
        IF nullif(p_partition_ids[i], -1) <> v_partition_id THEN
            RETURN NULL;
        END IF;
        v_outcome := eventstream.judge(p_expected[i], nullif(p_tenant_ids[i], ''), v_tenant_id, v_now, v_now, v_type);
        IF v_outcome IS NULL THEN
            v_first[i] := v_now + 1;
            v_now := v_now + p_event_counts[i];
            v_last[i] := v_now;
            v_applied := v_applied + p_event_counts[i];
        ELSE
            v_outcomes := coalesce(v_outcomes, array_fill('appended'::text, ARRAY[cardinality(p_expected)]));
            v_outcomes[i] := v_outcome;
        END IF;
        v_watermarks[i] := v_now;
        v_ends[i] := v_applied;
    END LOOP;
    -- Without a last event the stream is new.
    IF v_outcomes IS NOT NULL AND (v_type IS NULL OR eventstream.any_exists(p_event_ids)) THEN
        RETURN NULL;
    END IF;
    RETURN (v_outcomes, v_first, v_last, NULL, v_watermarks, v_watermarks,
        array_fill(v_tenant_id, ARRAY[cardinality(p_expected)]),
        array_fill(v_partition_id, ARRAY[cardinality(p_expected)]), v_ends, v_applied::bigint)::eventstream.verdicts;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_run IS
    'Verdicts for requests to one stream, each on its own; NULL if judge_closely() has to look. For append_batch '
    'alone.';

-- The common case in one statement: every request can be applied. Ids that exist are found by the INSERT. Each stream
-- is looked up by LATERAL with LIMIT, which leaves the planner one way: the key, backwards. Where each stream comes
-- once, nothing has to be sorted and no request told apart from another to the same stream, which is half of the cost.
CREATE FUNCTION eventstream.judge_distinct(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_tenant_ids text[],
    p_partition_ids integer[],
    p_ascending boolean
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v eventstream.verdicts;
    v_fit boolean;
BEGIN
    SELECT
        bool_and(NOT q.waits AND eventstream.judge(q.expected, q.tenant_id, q.stream_tenant, q.version, q.version, q.last_type) IS NULL
            AND (q.partition_id = q.stream_partition) IS NOT FALSE),
        array_agg(q.version + 1),
        array_agg(q.version + q.events),
        array_agg(q.stream_tenant),
        array_agg(q.stream_partition),
        sum(q.events)
    INTO v_fit, v.first_versions, v.last_versions, v.tenant_ids, v.partition_ids, v.events
    FROM (
        SELECT u.expected, u.events, u.tenant_id, u.partition_id, coalesce(l.version, 0) AS version, l.type AS last_type,
            coalesce(l.tenant_id, u.tenant_id, 'default') AS stream_tenant,
            coalesce(l.partition_id, u.partition_id, eventstream.partition_of(u.stream_id, eventstream.partition_count())) AS stream_partition,
            -- As a rule, nothing waits in the whole store.
            CASE WHEN EXISTS (SELECT FROM eventstream.pending_events) THEN (
                SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = u.stream_id LIMIT 1
            ) END IS NOT NULL AS waits
        FROM (
            SELECT unnest(p_stream_ids) AS stream_id, unnest(p_expected) AS expected, unnest(p_event_counts) AS events,
                nullif(unnest(p_tenant_ids), '') AS tenant_id, nullif(unnest(p_partition_ids), -1) AS partition_id
        ) AS u
        LEFT JOIN LATERAL (
            SELECT e.version, e.tenant_id, e.partition_id, e.type
            FROM ONLY eventstream.events AS e
            WHERE e.stream_id = u.stream_id
            ORDER BY e.version DESC
            LIMIT 1
        ) AS l ON true
    ) AS q;
    IF v_fit IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    IF v.events > cardinality(p_stream_ids) OR NOT p_ascending THEN
        SELECT array_agg(c.so_far ORDER BY c.n) INTO v.ends
        FROM (
            SELECT u.n, sum(u.events) OVER (ORDER BY u.stream_id COLLATE "C") AS so_far
            FROM unnest(p_stream_ids, p_event_counts) WITH ORDINALITY AS u (stream_id, events, n)
        ) AS c;
    END IF;
    v.current_versions := v.last_versions;
    v.watermarks := v.last_versions;
    RETURN v;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_distinct IS
    'judge_together() where each stream comes once; p_ascending says that they come in order.';

-- Streams in any order, several requests to one: each is judged after those before it on its stream.
CREATE FUNCTION eventstream.judge_together(
    p_stream_ids text[],
    p_expected bigint[],
    p_event_counts integer[],
    p_tenant_ids text[],
    p_partition_ids integer[]
) RETURNS eventstream.verdicts
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v eventstream.verdicts;
    v_fit boolean;
BEGIN
    SELECT
        bool_and(NOT c.waits AND eventstream.judge(
            c.expected, nullif(c.tenant_id, ''), c.stream_tenant, c.before, c.before, c.last_type) IS NULL
            AND (nullif(c.partition_id, -1) = c.stream_partition) IS NOT FALSE),
        array_agg(c.before + 1 ORDER BY c.ordinality),
        array_agg(c.before + c.events ORDER BY c.ordinality),
        array_agg(c.stream_tenant ORDER BY c.ordinality),
        array_agg(c.stream_partition ORDER BY c.ordinality),
        array_agg(c.so_far::integer ORDER BY c.ordinality),
        sum(c.events)
    INTO v_fit, v.first_versions, v.last_versions, v.tenant_ids, v.partition_ids, v.ends, v.events
    FROM (
        SELECT q.ordinality, q.expected, q.events, q.tenant_id, q.partition_id, q.waits, q.last_type,
            coalesce(q.version, 0) + sum(q.events) OVER (PARTITION BY q.stream_id ORDER BY q.ordinality) - q.events AS before,
            sum(q.events) OVER (ORDER BY q.stream_id, q.ordinality) AS so_far,
            -- A new stream is of the tenant, and in the place, of the first request.
            coalesce(q.stream_tenant, first_value(coalesce(nullif(q.tenant_id, ''), 'default'))
                OVER (PARTITION BY q.stream_id ORDER BY q.ordinality)) AS stream_tenant,
            coalesce(q.stream_partition, first_value(coalesce(nullif(q.partition_id, -1),
                    CASE WHEN q.version IS NULL THEN eventstream.partition_of(q.stream_id, eventstream.partition_count()) END))
                OVER (PARTITION BY q.stream_id ORDER BY q.ordinality)) AS stream_partition
        FROM (
            SELECT u.stream_id COLLATE "C" AS stream_id, u.expected, u.events, u.tenant_id, u.partition_id, u.ordinality,
                l.version, l.tenant_id AS stream_tenant, l.partition_id AS stream_partition, l.type AS last_type,
                -- As a rule, nothing waits in the whole store.
                CASE WHEN EXISTS (SELECT FROM eventstream.pending_events) THEN (
                    SELECT true FROM eventstream.pending_events AS w WHERE w.stream_id = u.stream_id LIMIT 1
                ) END IS NOT NULL AS waits
            FROM (
                SELECT generate_subscripts(p_stream_ids, 1) AS ordinality, unnest(p_stream_ids) AS stream_id, unnest(p_expected) AS expected,
                    unnest(p_event_counts) AS events, unnest(p_tenant_ids) AS tenant_id, unnest(p_partition_ids) AS partition_id
            ) AS u
            LEFT JOIN LATERAL (
                SELECT e.version, e.tenant_id, e.partition_id, e.type
                FROM ONLY eventstream.events AS e
                WHERE e.stream_id = u.stream_id
                ORDER BY e.version DESC
                LIMIT 1
            ) AS l ON true
        ) AS q
    ) AS c;
    IF v_fit THEN
        v.current_versions := v.last_versions;
        v.watermarks := v.last_versions;
        RETURN v;
    END IF;
    RETURN NULL;
END;
$$;

COMMENT ON FUNCTION eventstream.judge_together IS
    'Verdicts for a batch whose requests can all be applied; NULL if judge_closely() has to look. For append_batch '
    'alone.';

REVOKE EXECUTE ON FUNCTION
    eventstream.any_exists, eventstream.judge, eventstream.judge_run, eventstream.judge_distinct,
    eventstream.judge_together
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.judge_together, eventstream.judge_distinct, eventstream.judge_run, eventstream.any_exists;
DROP TYPE eventstream.verdicts;
DROP FUNCTION eventstream.judge, eventstream.lock_streams, eventstream.may_lock, eventstream.lock_stream;
