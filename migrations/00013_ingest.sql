-- +goose Up
-- Ingest: events that come with their versions given, in any order, any number of times.
-- Locks: none at install. At run time the advisory lock of the stream in hand, and the in-flight lock of the gate.
-- +goose StatementBegin

-- Two different events for one version, or one event for two: both are reported, and nothing is taken.
CREATE FUNCTION eventstream.refuse_ingest(
    p_stream_id text,
    p_versions bigint[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[]
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    r record;
BEGIN
    SELECT u.version, u.event_id, k.event_id AS other_id, k.place INTO r
    FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data) AS u (version, event_id, type, payload, data)
    CROSS JOIN LATERAL (
        SELECT e.event_id, e.type, e.payload, e.data, 'events' AS place,
            eventstream.is_erased(e.payload, e.data, e.metadata)
                AND eventstream.held_content(p_stream_id, e.version, e.event_id, u.payload, u.data) AS held
        FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version = u.version
        UNION ALL
        SELECT p.event_id, p.type, p.payload, p.data, 'pending_events', false
        FROM eventstream.pending_events AS p
        WHERE p.stream_id = p_stream_id AND p.version = u.version
    ) AS k
    WHERE k.event_id <> u.event_id
        OR k.type <> u.type
        OR (k.payload <> coalesce(u.payload, 'null') OR k.data IS DISTINCT FROM u.data) AND NOT k.held
    ORDER BY u.version
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT u.version, (array_agg(u.event_id))[1] AS event_id, (array_agg(u.event_id))[count(*)] AS other_id, 'this call' AS place
        INTO r
        FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data) AS u (version, event_id, type, payload, data)
        GROUP BY u.version
        HAVING count(DISTINCT (u.event_id, u.type, coalesce(u.payload, 'null'), u.data)) > 1
        ORDER BY u.version
        LIMIT 1;
    END IF;
    IF FOUND THEN
        PERFORM eventstream.refuse(
            'ES001',
            CASE
                WHEN r.event_id = r.other_id THEN format('version %s of stream %L: event %s comes with other content than it has in %s',
                    r.version, p_stream_id, r.event_id, r.place)
                ELSE format('version %s of stream %L is event %s in %s, and event %s here',
                    r.version, p_stream_id, r.other_id, r.place, r.event_id)
            END,
            jsonb_build_object('stream_id', p_stream_id, 'version', r.version, 'event_id', r.event_id,
                'other_event_id', r.other_id, 'place', r.place),
            'Two sources number this stream differently. Find out which is right; the store keeps what it has.');
    END IF;

    SELECT u.event_id, u.version, k.stream_id AS found_stream_id, k.version AS found_version INTO r
    FROM unnest(p_versions, p_event_ids) AS u (version, event_id)
    CROSS JOIN LATERAL (
        SELECT e.stream_id, e.version FROM eventstream.events AS e WHERE e.event_id = u.event_id
        UNION ALL
        SELECT p.stream_id, p.version FROM eventstream.pending_events AS p WHERE p.event_id = u.event_id
        UNION ALL
        SELECT p_stream_id, min(o.version)
        FROM unnest(p_versions, p_event_ids) AS o (version, event_id)
        WHERE o.event_id = u.event_id
    ) AS k
    WHERE (k.stream_id, k.version) <> (p_stream_id, u.version)
    LIMIT 1;
    IF eventstream.is_bound(eventstream.calling_role()) THEN
        -- Not where: it may be another tenant's.
        PERFORM eventstream.refuse(
            'ES005',
            format('event %s for version %s of stream %L exists already', r.event_id, r.version, p_stream_id),
            jsonb_build_object('event_id', r.event_id, 'stream_id', p_stream_id, 'version', r.version),
            'An event id names one event. Give each event an id of its own.');
    END IF;
    PERFORM eventstream.refuse(
        'ES005',
        format('event %s for version %s of stream %L exists already, as version %s of stream %L',
            r.event_id, r.version, p_stream_id, r.found_version, r.found_stream_id),
        jsonb_build_object('event_id', r.event_id, 'stream_id', p_stream_id, 'version', r.version,
            'found_stream_id', r.found_stream_id, 'found_version', r.found_version),
        'An event id names one event. Give each event an id of its own.');
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_ingest IS
    'Raises ES001 or ES005: says which event of an ingest contradicts what is there. Never returns.';

CREATE FUNCTION eventstream.check_ingest(
    p_stream_id text,
    p_versions bigint[],
    p_event_ids uuid[],
    p_lengths integer[],
    p_watermark bigint,
    p_max_ahead bigint
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_events integer := coalesce(cardinality(p_versions), 0);
BEGIN
    IF v_events > 100000 THEN
        PERFORM eventstream.refuse_value('number of events', v_events::text, 'at most 100000 in one call');
    ELSIF v_events = 0 THEN
        PERFORM eventstream.refuse_value('number of events', '0', 'at least 1');
    ELSIF p_stream_id IS NULL THEN
        PERFORM eventstream.refuse_value('stream_id', NULL, 'given');
    ELSIF (v_events = ALL (p_lengths)) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('batch', NULL, format('arrays of one length, here %s', v_events));
    ELSIF EXISTS (SELECT FROM unnest(p_event_ids) AS e WHERE e IS NULL) THEN
        PERFORM eventstream.refuse_value('event_id', NULL, 'given for each event: it tells a repeated delivery from another event');
    ELSIF EXISTS (SELECT FROM unnest(p_versions) AS v WHERE v IS NULL OR v < 1) THEN
        PERFORM eventstream.refuse_value('version', p_versions::text, '1 or more for each event');
    ELSIF EXISTS (SELECT FROM unnest(p_versions) AS v WHERE v - p_watermark > p_max_ahead) THEN
        PERFORM eventstream.refuse_value('version', (SELECT max(v) FROM unnest(p_versions) AS v)::text,
            format('at most %s ahead of the stream''s watermark, which is %s', p_max_ahead, p_watermark));
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.check_ingest IS
    'Raises ES008 if the arguments of ingest() do not fit together, or a version is absurdly far ahead.';

-- One try to take a delivery, under the lock of the stream. Each event is new, or exactly what exists already, or what
-- came before it in this call; anything else contradicts.
CREATE FUNCTION eventstream.take_delivery(
    p_stream_id text,
    p_versions bigint[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[],
    p_metadata jsonb[],
    p_occurred_at timestamptz[],
    p_tenant_id text,
    p_partition_id integer,
    p_watermark bigint,
    OUT is_new boolean[],
    OUT new_events bigint
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_run bigint;
    v_fits boolean;
BEGIN
    SELECT
        array_agg(j.is_new ORDER BY j.ordinality),
        count(*) FILTER (WHERE j.is_new),
        bool_and(j.fits IS TRUE) AND count(DISTINCT j.version) = count(DISTINCT j.event_id)
    INTO is_new, new_events, v_fits
    FROM (
        SELECT
            u.ordinality,
            u.version,
            u.event_id,
            e.version IS NULL AND p.version IS NULL AND row_number() OVER same_version = 1 AS is_new,
            CASE
                WHEN e.version IS NOT NULL THEN
                    (e.event_id, e.type) = (u.event_id, u.type)
                    AND (e.payload = u.payload AND e.data IS NOT DISTINCT FROM u.data
                        OR eventstream.is_erased(e.payload, e.data, e.metadata)
                        AND eventstream.held_content(p_stream_id, e.version, e.event_id, u.payload, u.data))
                WHEN p.version IS NOT NULL THEN
                    (p.event_id, p.type, p.payload) = (u.event_id, u.type, u.payload) AND p.data IS NOT DISTINCT FROM u.data
                ELSE
                    first_value(u.event_id) OVER same_version = u.event_id
                    AND first_value(u.type) OVER same_version = u.type
                    AND first_value(u.payload) OVER same_version = u.payload
                    AND first_value(u.data) OVER same_version IS NOT DISTINCT FROM u.data
                    AND (SELECT o.event_id FROM eventstream.events AS o WHERE o.event_id = u.event_id) IS NULL
                    AND (SELECT o.event_id FROM eventstream.pending_events AS o WHERE o.event_id = u.event_id) IS NULL
            END AS fits
        FROM (
            SELECT a.version, a.event_id, a.type, coalesce(a.payload, 'null') AS payload, a.data, a.ordinality
            FROM unnest(p_versions, p_event_ids, p_types, p_payloads, p_data)
                WITH ORDINALITY AS a (version, event_id, type, payload, data, ordinality)
        ) AS u
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.events AS h WHERE h.stream_id = p_stream_id AND h.version = u.version OFFSET 0
        ) AS e ON true
        LEFT JOIN LATERAL (
            SELECT h.* FROM eventstream.pending_events AS h WHERE h.stream_id = p_stream_id AND h.version = u.version OFFSET 0
        ) AS p ON true
        WINDOW same_version AS (PARTITION BY u.version ORDER BY u.ordinality)
    ) AS j;
    IF v_fits IS NOT TRUE THEN
        PERFORM eventstream.refuse_ingest(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data);
    END IF;

    -- What follows the watermark enters at once; what leaves a hole waits.
    SELECT count(*) INTO v_run
    FROM (
        SELECT u.version, row_number() OVER (ORDER BY u.version) AS nth
        FROM unnest(p_versions, take_delivery.is_new) AS u (version, is_new)
        WHERE u.is_new
    ) AS n
    WHERE n.version = p_watermark + n.nth;
    IF v_run > 0 THEN
        INSERT INTO eventstream.events (
            version, event_id, occurred_at, recorded_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), clock_timestamp(), p_partition_id, p_stream_id,
            p_tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(take_delivery.is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version <= p_watermark + v_run
        ORDER BY u.version;
    END IF;
    IF new_events > v_run THEN
        INSERT INTO eventstream.pending_events (
            version, event_id, occurred_at, partition_id, stream_id, tenant_id, type, payload, data, metadata
        )
        SELECT u.version, u.event_id, coalesce(u.occurred_at, clock_timestamp()), p_partition_id, p_stream_id,
            p_tenant_id, u.type, coalesce(u.payload, 'null'), u.data, coalesce(u.metadata, '{}')
        FROM unnest(take_delivery.is_new, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at)
            AS u (is_new, version, event_id, type, payload, data, metadata, occurred_at)
        WHERE u.is_new AND u.version > p_watermark + v_run;
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.take_delivery IS
    'Puts the new events of a delivery where they belong: which are new, and how many. For ingest() alone.';

CREATE FUNCTION eventstream.ingest(
    p_stream_id text,
    p_versions bigint[],
    p_event_ids uuid[],
    p_types text[],
    p_payloads jsonb[],
    p_data bytea[] DEFAULT NULL,
    p_metadata jsonb[] DEFAULT NULL,
    p_occurred_at timestamptz[] DEFAULT NULL,
    p_tenant_id text DEFAULT NULL,
    p_partition_id integer DEFAULT NULL,
    p_max_ahead bigint DEFAULT 1000000
) RETURNS TABLE (
    appended bigint,
    pending bigint,
    duplicates bigint,
    watermark bigint,
    current_version bigint
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    v_ignored text := CASE WHEN p_metadata IS NOT NULL THEN eventstream.hold_tags_of_batch(p_types, p_metadata) END;
    v_locked text := eventstream.lock_streams(ARRAY[p_stream_id]);
    v_stream record;
    v_taken record;
    v_tries integer := 0;
BEGIN
    IF array_position(p_types, NULL) IS NOT NULL THEN
        PERFORM eventstream.refuse_value('event_type', NULL, 'given for each event');
    END IF;
    PERFORM eventstream.refuse_null_words(p_data);
    LOOP
        -- Where the stream stands, or what the first event that waits has fixed.
        SELECT l.version AS watermark, l.type AS last_type, coalesce(l.tenant_id, w.tenant_id) AS tenant_id, coalesce(l.partition_id, w.partition_id) AS partition_id
        INTO v_stream
        FROM (SELECT) AS one
        LEFT JOIN LATERAL (
            SELECT e.version, e.tenant_id, e.partition_id, e.type
            FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id ORDER BY e.version DESC LIMIT 1
        ) AS l ON true
        LEFT JOIN LATERAL (
            SELECT p.tenant_id, p.partition_id
            FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id ORDER BY p.version DESC LIMIT 1
        ) AS w ON true;
        -- Before anything that says where the stream stands.
        IF p_tenant_id <> v_stream.tenant_id THEN
            PERFORM eventstream.refuse_tenant(p_stream_id, v_stream.tenant_id, p_tenant_id);
        END IF;
        PERFORM eventstream.check_ingest(p_stream_id, p_versions, p_event_ids,
            ARRAY[coalesce(cardinality(p_event_ids), 0), coalesce(cardinality(p_types), 0),
                coalesce(cardinality(p_payloads), cardinality(p_versions)), coalesce(cardinality(p_data), cardinality(p_versions)),
                coalesce(cardinality(p_metadata), cardinality(p_versions)), coalesce(cardinality(p_occurred_at), cardinality(p_versions))],
            coalesce(v_stream.watermark, 0), p_max_ahead);
        IF p_partition_id <> v_stream.partition_id THEN
            PERFORM eventstream.refuse_partition(p_stream_id, v_stream.partition_id, p_partition_id);
        END IF;
        BEGIN
            SELECT t.* INTO v_taken
            FROM eventstream.take_delivery(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at,
                coalesce(v_stream.tenant_id, p_tenant_id, 'default'),
                coalesce(v_stream.partition_id, p_partition_id, eventstream.partition_of(p_stream_id, eventstream.partition_count())),
                coalesce(v_stream.watermark, 0)) AS t;
            EXIT;
        EXCEPTION WHEN unique_violation THEN
            -- A raw INSERT, which takes no lock, was faster. Look again: it is the same event, or it contradicts.
            PERFORM eventstream.refuse_sequence();
            PERFORM eventstream.refuse_old_snapshot();
            v_tries := v_tries + 1;
            IF v_tries = 5 THEN
                RAISE;
            END IF;
        END;
    END LOOP;

    -- What would wait behind a closed stream would wait for good.
    IF v_stream.last_type = '$closed' AND v_taken.new_events > 0 THEN
        PERFORM eventstream.refuse_closed(p_stream_id, v_stream.watermark);
    END IF;
    watermark := eventstream.advance_watermark(p_stream_id);
    current_version := greatest(watermark,
        (SELECT p.version FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id ORDER BY p.version DESC LIMIT 1));
    appended := watermark - coalesce(v_stream.watermark, 0);
    duplicates := cardinality(p_versions) - v_taken.new_events;
    SELECT count(*) INTO pending
    FROM unnest(p_versions, v_taken.is_new) AS u (version, is_new)
    WHERE u.is_new AND u.version > ingest.watermark;
    RETURN NEXT;
END;
$$;

COMMENT ON FUNCTION eventstream.ingest IS
    'Takes events of one stream with their versions given, in any order and any number of times. What follows the '
    'watermark enters events; what leaves a hole waits in pending_events. Returns how many entered (with those that '
    'waited for them), how many of these wait, how many existed already, and where the stream stands. At most 100000 '
    'events a call; a version more than p_max_ahead above the watermark is refused: it would be a mistake that ends '
    'the stream.';

REVOKE EXECUTE ON FUNCTION
    eventstream.refuse_ingest, eventstream.check_ingest, eventstream.take_delivery, eventstream.ingest
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION eventstream.ingest, eventstream.take_delivery, eventstream.check_ingest, eventstream.refuse_ingest;
