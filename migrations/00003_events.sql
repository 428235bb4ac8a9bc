-- +goose Up
-- The events: what happened, the only record of it; and what waits ahead of a hole. Where a stream stands is what its
-- last event says, and what it is (tenant, partition, when it began) is what its first one says. Nothing else has to be
-- kept in step.
-- Locks: none, everything here is new.
--
-- Columns of fixed width come first, by width, so that nothing is padded. stream_id is plain text, not a domain, so
-- that a distributed install can find rows by it; byte order ("C"): a category is a range of ids.
-- +goose StatementBegin

CREATE SEQUENCE eventstream.events_position_seq AS bigint;

COMMENT ON SEQUENCE eventstream.events_position_seq IS
    'Positions of events. CACHE must stay 1: numbers drawn ahead of time would be given to events long after readers '
    'have passed them.';

CREATE TABLE eventstream.events (
    position bigint NOT NULL DEFAULT nextval('eventstream.events_position_seq'::regclass),
    version bigint NOT NULL,
    event_id uuid NOT NULL DEFAULT eventstream.uuid_v7(),
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partition_id integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
    type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT events_pkey PRIMARY KEY (stream_id, version),
    -- Apart from the key, so that an install spread over several machines can put weaker ones in their place.
    CONSTRAINT events_event_id_key UNIQUE (event_id),
    CONSTRAINT events_position_key UNIQUE (position)
) WITH (
    -- Events are inserted and never changed: a vacuum is for freezing, a little at a time, and for index-only scans. By
    -- default the next one would come after a fifth more, which in a large store is years.
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.02
);

ALTER SEQUENCE eventstream.events_position_seq OWNED BY eventstream.events.position;

CREATE INDEX events_partition_position_idx ON eventstream.events (partition_id, position);
-- A stream's first event stands for the stream where streams are listed and counted.
CREATE INDEX events_first_tenant_idx ON eventstream.events (tenant_id, stream_id) WHERE version = 1;
CREATE INDEX events_first_partition_idx ON eventstream.events (partition_id, stream_id) WHERE version = 1;

COMMENT ON TABLE eventstream.events IS
    'Every event of every stream. Versions of a stream run 1, 2, 3 ... without a gap; nothing is ever changed or '
    'removed, but that eventstream.erase() takes away what an event holds, and eventstream.archive() moves events to '
    'archived_events, which is a part of this table.';
COMMENT ON COLUMN eventstream.events.position IS
    'Place in the one log of all streams. Rises with the version within a stream; has holes where a transaction rolled '
    'back.';
COMMENT ON COLUMN eventstream.events.version IS 'Number of the event in its stream, from 1, without a gap.';
COMMENT ON COLUMN eventstream.events.event_id IS
    'Identity of the event, unique in the store; an append whose ids exist already is a duplicate.';
COMMENT ON COLUMN eventstream.events.occurred_at IS 'When it happened, by the caller''s clock; years 1 to 9999.';
COMMENT ON COLUMN eventstream.events.recorded_at IS 'When it was written, by the database''s clock, whoever wrote it.';
COMMENT ON COLUMN eventstream.events.partition_id IS
    'Fixed share of the streams that its stream belongs to: partition_of(stream_id, partition_count()) unless placed '
    'elsewhere at creation.';
COMMENT ON COLUMN eventstream.events.stream_id IS
    'Stream that the event belongs to: 1 to 128 bytes, no control characters, no white space at either end. Up to the '
    'first - is its category.';
COMMENT ON COLUMN eventstream.events.tenant_id IS 'Tenant of its stream: 1 to 64 of A-Z a-z 0-9 _ -.';
COMMENT ON COLUMN eventstream.events.type IS
    'Kind of the event, as order.placed: 1 to 128 bytes, no control characters, no white space at either end.';
COMMENT ON COLUMN eventstream.events.payload IS 'What happened, as JSON; the JSON null for an event with data alone.';
COMMENT ON COLUMN eventstream.events.data IS 'What happened, as bytes, for payloads that are not JSON; else NULL.';
COMMENT ON COLUMN eventstream.events.metadata IS
    'What describes the event rather than what happened: correlation, causation, trace; a JSON object.';
COMMENT ON INDEX eventstream.events_partition_position_idx IS 'The log of one partition.';
COMMENT ON INDEX eventstream.events_first_tenant_idx IS 'Streams of a tenant, in order of stream_id.';
COMMENT ON INDEX eventstream.events_first_partition_idx IS 'Streams of a partition, in order of stream_id.';

-- Old events in a table of their own, which may lie on other disks. From the first time that something is archived it is
-- a part of events (00041_archive.sql); until then nobody pays for it. Where a stream begins and ends stays in events;
-- the CHECK tells that to the planner, which then leaves this table alone where first events are asked for.
CREATE TABLE eventstream.archived_events (
    LIKE eventstream.events INCLUDING COMMENTS INCLUDING DEFAULTS,
    CONSTRAINT archived_events_pkey PRIMARY KEY (stream_id, version),
    CONSTRAINT archived_events_event_id_key UNIQUE (event_id),
    CONSTRAINT archived_events_position_key UNIQUE (position),
    -- The first event of a stream stays in events.
    CONSTRAINT archived_events_not_first CHECK (version > 1)
) WITH (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0.02
);

CREATE INDEX archived_events_partition_position_idx ON eventstream.archived_events (partition_id, position);

-- The transaction that archived last, for those that keep one snapshot: a sequence is read as it is, and not as it was
-- when the snapshot was taken.
CREATE SEQUENCE eventstream.archiving_seq AS bigint OWNED BY eventstream.archived_events.version;

COMMENT ON TABLE eventstream.archived_events IS
    'Events that eventstream.archive() moved here: versions 2 to some version of a stream, as they were. Part of '
    'events for whoever reads that table.';
COMMENT ON INDEX eventstream.archived_events_partition_position_idx IS 'The archived part of the log of one partition.';
COMMENT ON SEQUENCE eventstream.archiving_seq IS 'Id of the transaction that archived last; not a counter.';

CREATE TABLE eventstream.pending_events (
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partition_id integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    payload jsonb NOT NULL,
    data bytea,
    metadata jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT pending_events_pkey PRIMARY KEY (stream_id, version),
    CONSTRAINT pending_events_event_id_key UNIQUE (event_id)
);

COMMENT ON TABLE eventstream.pending_events IS
    'Events that arrived out of order and wait for the versions before them. Unseen by readers; audit_pending says '
    'what is missing.';
COMMENT ON COLUMN eventstream.pending_events.version IS
    'Version that the event will have; above the stream''s watermark.';
COMMENT ON COLUMN eventstream.pending_events.event_id IS 'Identity of the event.';
COMMENT ON COLUMN eventstream.pending_events.occurred_at IS 'When it happened, by the caller''s clock.';
COMMENT ON COLUMN eventstream.pending_events.received_at IS 'When it arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.pending_events.partition_id IS 'Partition of its stream.';
COMMENT ON COLUMN eventstream.pending_events.stream_id IS 'Stream that the event belongs to.';
COMMENT ON COLUMN eventstream.pending_events.tenant_id IS 'Tenant of its stream.';
COMMENT ON COLUMN eventstream.pending_events.type IS 'Kind of the event, as order.placed.';
COMMENT ON COLUMN eventstream.pending_events.payload IS 'What happened, as JSON.';
COMMENT ON COLUMN eventstream.pending_events.data IS 'What happened, as bytes.';
COMMENT ON COLUMN eventstream.pending_events.metadata IS 'What describes the event; a JSON object.';

CREATE TABLE eventstream.discarded_events (
    LIKE eventstream.pending_events INCLUDING COMMENTS,
    discarded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    discarded_by text NOT NULL DEFAULT session_user,
    reason text NOT NULL,
    -- Whoever gives an event up says why.
    CONSTRAINT discarded_events_reason_given CHECK (reason ~ '[^[:space:]]')
);

CREATE INDEX discarded_events_stream_idx ON eventstream.discarded_events (stream_id, version);

COMMENT ON TABLE eventstream.discarded_events IS
    'Events that waited and never entered the log: discarded by a person, or because another event took their version. '
    'On record for good.';
COMMENT ON COLUMN eventstream.discarded_events.discarded_at IS 'When it was discarded, by the database''s clock.';
COMMENT ON COLUMN eventstream.discarded_events.discarded_by IS
    'The database user who discarded it, or whose call found the conflict.';
COMMENT ON COLUMN eventstream.discarded_events.reason IS 'Why it was given up.';
COMMENT ON INDEX eventstream.discarded_events_stream_idx IS 'What was discarded of a stream.';

CREATE TABLE eventstream.erasures (
    erasure bigint GENERATED ALWAYS AS IDENTITY,
    position bigint,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stream_id text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL DEFAULT 'events',
    erased_by text NOT NULL DEFAULT session_user,
    reason text NOT NULL,
    payload_digest bytea NOT NULL,
    data_digest bytea,
    metadata_digest bytea NOT NULL,
    CONSTRAINT erasures_pkey PRIMARY KEY (stream_id, version, place, event_id),
    CONSTRAINT erasures_erasure_key UNIQUE (erasure),
    -- What is in the log has a position; what was discarded never had one.
    CONSTRAINT erasures_place_known CHECK (
        place = 'events' AND position IS NOT NULL OR place = 'discarded_events' AND position IS NULL),
    -- Whoever takes content away says why.
    CONSTRAINT erasures_reason_given CHECK (reason ~ '[^[:space:]]'),
    -- Digests are SHA-256.
    CONSTRAINT erasures_digests_whole CHECK (
        octet_length(payload_digest) = 32 AND (octet_length(data_digest) = 32) IS NOT FALSE
        AND octet_length(metadata_digest) = 32)
);

COMMENT ON TABLE eventstream.erasures IS
    'Events whose content was taken away by eventstream.erase(): when, by whom and why, and the digests that keep '
    'their seals valid. Written by the statement that erases, and never changed.';
COMMENT ON COLUMN eventstream.erasures.erasure IS
    'Its number: an audit looks at those that came since the last clean one.';
COMMENT ON SEQUENCE eventstream.erasures_erasure_seq IS 'Numbers of erasures; one that was rolled back leaves a hole.';
COMMENT ON COLUMN eventstream.erasures.position IS 'Place of the event in the log; NULL for one that never entered it.';
COMMENT ON COLUMN eventstream.erasures.version IS 'Version of the event.';
COMMENT ON COLUMN eventstream.erasures.event_id IS 'Identity of the event.';
COMMENT ON COLUMN eventstream.erasures.erased_at IS 'When it was erased, by the database''s clock.';
COMMENT ON COLUMN eventstream.erasures.stream_id IS 'Stream of the event.';
COMMENT ON COLUMN eventstream.erasures.place IS 'Table that it is in: events or discarded_events.';
COMMENT ON COLUMN eventstream.erasures.erased_by IS 'The database user who erased it.';
COMMENT ON COLUMN eventstream.erasures.reason IS 'Why it was erased. Stays for good: it names no person.';
COMMENT ON COLUMN eventstream.erasures.payload_digest IS 'SHA-256 of the payload, as seals count it.';
COMMENT ON COLUMN eventstream.erasures.data_digest IS 'SHA-256 of data; NULL if there was none.';
COMMENT ON COLUMN eventstream.erasures.metadata_digest IS 'SHA-256 of the metadata, as seals count it.';

-- Payloads of 2 kB and more are compressed: by lz4 in a fifth of the time that PostgreSQL's own method takes, where the
-- server was built with it.
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['events', 'pending_events', 'discarded_events', 'archived_events'] LOOP
        EXECUTE format('ALTER TABLE eventstream.%I ALTER COLUMN payload SET COMPRESSION lz4, ALTER COLUMN data SET COMPRESSION lz4, '
            'ALTER COLUMN metadata SET COMPRESSION lz4', v_table);
    END LOOP;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: payloads are compressed by pglz';
END;
$$;

-- ANALYZE would copy what events hold into pg_statistic, where no erasure reaches it; nothing is planned by it.
ALTER TABLE eventstream.events
    ALTER COLUMN payload SET STATISTICS 0, ALTER COLUMN data SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE eventstream.pending_events
    ALTER COLUMN payload SET STATISTICS 0, ALTER COLUMN data SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE eventstream.discarded_events
    ALTER COLUMN payload SET STATISTICS 0, ALTER COLUMN data SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE eventstream.archived_events
    ALTER COLUMN payload SET STATISTICS 0, ALTER COLUMN data SET STATISTICS 0, ALTER COLUMN metadata SET STATISTICS 0;

-- Where a stream stands, computed from its events: a few looks at an index for one stream, and as many for each of a
-- page of streams.
CREATE VIEW eventstream.streams AS
SELECT
    f.stream_id,
    f.partition_id,
    f.tenant_id,
    greatest(l.version, w.version) AS current_version,
    l.version AS watermark,
    l.position AS last_position,
    f.recorded_at AS created_at,
    greatest(l.recorded_at, w.received_at) AS updated_at
FROM ONLY eventstream.events AS f
CROSS JOIN LATERAL (
    SELECT e.version, e.position, e.recorded_at
    FROM ONLY eventstream.events AS e
    WHERE e.stream_id = f.stream_id
    ORDER BY e.version DESC
    LIMIT 1
) AS l
LEFT JOIN LATERAL (
    SELECT p.version, max(p.received_at) OVER () AS received_at
    FROM eventstream.pending_events AS p
    WHERE p.stream_id = f.stream_id
    ORDER BY p.version DESC
    LIMIT 1
) AS w ON true
WHERE f.version = 1
UNION ALL
-- Streams whose first event has not arrived yet.
SELECT
    p.stream_id,
    min(p.partition_id),
    min(p.tenant_id),
    max(p.version),
    0,
    0,
    min(p.received_at),
    max(p.received_at)
FROM eventstream.pending_events AS p
WHERE NOT EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = p.stream_id AND e.version = 1)
GROUP BY p.stream_id;

COMMENT ON VIEW eventstream.streams IS
    'Each stream, and where it stands. Computed from events and pending_events; nothing else says so.';
COMMENT ON COLUMN eventstream.streams.stream_id IS 'Name of the stream, in byte order.';
COMMENT ON COLUMN eventstream.streams.partition_id IS 'Partition of the stream and of every event in it.';
COMMENT ON COLUMN eventstream.streams.tenant_id IS 'Owner of the stream and of every event in it.';
COMMENT ON COLUMN eventstream.streams.current_version IS
    'Highest version known, counting those that wait in pending_events; equals the watermark when nothing is missing.';
COMMENT ON COLUMN eventstream.streams.watermark IS
    'Highest version up to which every event is present in events; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.last_position IS 'Position of the event at the watermark; 0 while there is none.';
COMMENT ON COLUMN eventstream.streams.created_at IS 'When the stream''s first event arrived, by the database''s clock.';
COMMENT ON COLUMN eventstream.streams.updated_at IS
    'When an event of the stream arrived last, by the database''s clock.';
-- +goose StatementEnd

-- +goose Down
LOCK TABLE eventstream.events, eventstream.pending_events IN ACCESS EXCLUSIVE MODE;
SELECT eventstream.refuse_to_drop_events();
DROP VIEW eventstream.streams;
DROP TABLE eventstream.erasures;
DROP TABLE eventstream.discarded_events;
DROP TABLE eventstream.pending_events;
DROP TABLE eventstream.archived_events;
DROP TABLE eventstream.events;
