-- +goose Up
-- Snapshots: what somebody made of a stream's events up to one of them, so that a long stream need not be read whole.
-- They are a cache: each names the event that it was made at, is believed only where that event is, and can be deleted
-- at any time.
-- Locks: none at install. At run time the row of one snapshot.
-- +goose StatementBegin

CREATE TABLE eventstream.snapshots (
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    schema_version integer NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    state bytea NOT NULL,
    -- The newest is all that anybody needs.
    CONSTRAINT snapshots_pkey PRIMARY KEY (stream_id, name),
    -- A snapshot of no events would spare nobody anything.
    CONSTRAINT snapshots_version_range CHECK (version >= 1),
    CONSTRAINT snapshots_schema_version_range CHECK (schema_version >= 1),
    -- The rule for event types: 1 to 128 bytes, no control characters, no white space at either end.
    CONSTRAINT snapshots_name_valid CHECK (eventstream.is_name(name)),
    -- As much as an event's data may have: more cannot be sent to a client.
    CONSTRAINT snapshots_state_size CHECK (octet_length(state) <= 128000000)
) WITH (
    -- Each new one leaves a dead row, which may be large, in a table that is small.
    autovacuum_vacuum_scale_factor = 0.05
);

COMMENT ON TABLE eventstream.snapshots IS
    'States of streams at one of their versions, one row for each stream and name: the newest. A cache that may be '
    'deleted at any time; the events are the truth. Shown to those alone who may read the events of its stream.';
COMMENT ON COLUMN eventstream.snapshots.version IS 'Version of the last event that the state has in it.';
COMMENT ON COLUMN eventstream.snapshots.event_id IS
    'Identity of that event. Where the stream has another one there, or none, the snapshot is of another history and '
    'not used.';
COMMENT ON COLUMN eventstream.snapshots.created_at IS 'When it was written, by the database''s clock.';
COMMENT ON COLUMN eventstream.snapshots.schema_version IS
    'Which form the state has, by the numbers of the code that makes it; a reader of another form ignores it.';
COMMENT ON COLUMN eventstream.snapshots.stream_id IS 'Stream that it is of.';
COMMENT ON COLUMN eventstream.snapshots.name IS
    'What was made of the stream: code that makes different states of one stream gives them different names.';
COMMENT ON COLUMN eventstream.snapshots.digest IS 'SHA-256 of the state: one that does not fit is not used.';
COMMENT ON COLUMN eventstream.snapshots.state IS
    'The state, as the code that made it encodes it; JSON unless it chose otherwise.';

-- A state that grows is compressed by lz4 in a fifth of the time, where the server was built with it.
DO $$
BEGIN
    ALTER TABLE eventstream.snapshots ALTER COLUMN state SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: snapshots are compressed by pglz';
END;
$$;

-- No copies of states in pg_statistic, where no erasure reaches them.
ALTER TABLE eventstream.snapshots ALTER COLUMN state SET STATISTICS 0;

-- Whoever may read the first event of a stream may read all of it: tenant and partition are the stream's.
CREATE FUNCTION eventstream.shows_stream(p_stream_id text) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1);
END;
$$;

COMMENT ON FUNCTION eventstream.shows_stream IS
    'Whether the caller may see the events of a stream, and there are any; an error if it may read no events at all.';

ALTER TABLE eventstream.snapshots ENABLE ROW LEVEL SECURITY;

CREATE POLICY snapshots_of_visible_streams ON eventstream.snapshots
    USING (eventstream.shows_stream(stream_id));

COMMENT ON POLICY snapshots_of_visible_streams ON eventstream.snapshots IS
    'A snapshot tells what its events tell, so it is for those alone who may read them.';

CREATE FUNCTION eventstream.snapshot_holds(p_stream_id text, p_version bigint, p_event_id uuid) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM eventstream.events AS e
        WHERE e.stream_id = p_stream_id AND e.version = p_version AND e.event_id = p_event_id);
END;
$$;

COMMENT ON FUNCTION eventstream.snapshot_holds IS
    'Whether a stream has this event at this version. Where it does not, a snapshot that was made there is of another '
    'history: a failover or a restore lost the end of the stream, or the row is another stream''s.';

CREATE FUNCTION eventstream.refuse_snapshot(p_name text, p_schema_version integer, p_state bytea) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM eventstream.check_name('snapshot name', p_name);
    IF (p_schema_version >= 1) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('snapshot schema version', p_schema_version::text, '1 or more');
    ELSIF (octet_length(p_state) <= 128000000) IS NOT TRUE THEN
        PERFORM eventstream.refuse_value('snapshot state', coalesce(octet_length(p_state) || ' bytes', 'NULL'),
            'at most 128,000,000 bytes, and not NULL');
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.refuse_snapshot IS
    'Raises ES008 for a snapshot with a value that the table would refuse.';

CREATE FUNCTION eventstream.save_snapshot(
    p_stream_id text,
    p_name text,
    p_version bigint,
    p_event_id uuid,
    p_schema_version integer,
    p_state bytea
) RETURNS text
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_digest bytea := sha256(p_state);
    v_is record;
BEGIN
    PERFORM eventstream.refuse_snapshot(p_name, p_schema_version, p_state);
    LOOP
        IF NOT eventstream.snapshot_holds(p_stream_id, p_version, p_event_id) THEN
            RETURN 'contradicted';
        END IF;
        INSERT INTO eventstream.snapshots (stream_id, name, version, event_id, schema_version, digest, state)
        VALUES (p_stream_id, p_name, p_version, p_event_id, p_schema_version, v_digest, p_state)
        -- There is one, which is judged below.
        ON CONFLICT ON CONSTRAINT snapshots_pkey DO NOTHING;
        IF FOUND THEN
            RETURN 'saved';
        END IF;
        -- Two writers take turns. Whether the other's snapshot holds is asked by a statement of its own, after this one:
        -- it sees the event that the lock may have waited for, where this one's snapshot of the database may be too old.
        SELECT s.version, s.event_id, s.schema_version INTO v_is
        FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id AND s.name = p_name FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND; -- It was deleted in between.
        -- At one version the newer form stays, or code of two releases would overwrite each other's all the time.
        IF (v_is.version, v_is.schema_version) > (p_version, p_schema_version)
            AND eventstream.snapshot_holds(p_stream_id, v_is.version, v_is.event_id) THEN
            RETURN 'older';
        END IF;
        UPDATE eventstream.snapshots AS s
        SET version = p_version, event_id = p_event_id, schema_version = p_schema_version, digest = v_digest, state = p_state,
            created_at = clock_timestamp()
        WHERE s.stream_id = p_stream_id AND s.name = p_name;
        RETURN 'saved';
    END LOOP;
END;
$$;

COMMENT ON FUNCTION eventstream.save_snapshot IS
    'Keeps the state of a stream at one of its events, in place of an older one, of one at the same version, and of '
    'one that is of another history. Returns saved; older if a newer one is there, or one of a newer schema version at '
    'the same version of the stream; contradicted if the stream has no such event at that version.';

-- Both queries see the same moment, since the function is STABLE. The settings leave the planner the primary key, in
-- its order, whatever statistics say: a plan made while the tables were empty is kept. The first row is the event that
-- the snapshot was made at, which costs one look and says what the events after it may not be there to say.
CREATE FUNCTION eventstream.load_snapshot(
    p_stream_id text,
    p_name text,
    p_schema_version integer,
    p_before_event uuid DEFAULT NULL
) RETURNS TABLE (
    "position" bigint,
    version bigint,
    event_id uuid,
    occurred_at timestamptz,
    recorded_at timestamptz,
    partition_id integer,
    stream_id text,
    tenant_id text,
    type text,
    payload jsonb,
    data bytea,
    metadata jsonb,
    head bigint[],
    digest bytea,
    state bytea
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET jit = off
AS $$
DECLARE
    v_is record;
    v_base bigint;
    v_created_at timestamptz;
BEGIN
    SELECT e.recorded_at INTO v_created_at FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1;
    SELECT s.version, s.created_at, CASE
        WHEN s.schema_version <> p_schema_version THEN 1
        WHEN v_created_at IS NULL OR NOT eventstream.snapshot_holds(s.stream_id, s.version, s.event_id) THEN 2
        -- By its id alone, which is unique: with the stream in the condition, a plan could go through all of that.
        WHEN p_before_event IS NOT NULL AND (
            SELECT c.stream_id = p_stream_id AND c.version <= s.version
            FROM eventstream.events AS c WHERE c.event_id = p_before_event
        ) THEN 3
        ELSE 0 END AS ignored
    INTO v_is
    FROM eventstream.snapshots AS s WHERE s.stream_id = p_stream_id AND s.name = p_name;
    v_base := CASE WHEN v_is.ignored = 0 THEN v_is.version ELSE 0 END;
    RETURN QUERY
    SELECT e.position, e.version, e.event_id, e.occurred_at, e.recorded_at, e.partition_id, e.stream_id, e.tenant_id, e.type,
        CASE WHEN e.version > v_base THEN e.payload END,
        CASE WHEN e.version > v_base THEN e.data END,
        CASE WHEN e.version > v_base THEN e.metadata END,
        CASE WHEN e.version = greatest(v_base, 1) THEN (
            SELECT ARRAY[
                v_base, coalesce(v_is.ignored, 0), coalesce(extract(epoch FROM v_is.created_at) * 1000000, 0),
                extract(epoch FROM v_created_at) * 1000000,
                (SELECT l.version FROM ONLY eventstream.events AS l WHERE l.stream_id = p_stream_id ORDER BY l.version DESC LIMIT 1),
                coalesce(max(w.version), 0), coalesce(extract(epoch FROM max(w.received_at)) * 1000000, 0),
                eventstream.partition_count()
            ]::bigint[]
            FROM eventstream.pending_events AS w
            WHERE w.stream_id = p_stream_id
        ) END,
        CASE WHEN e.version = v_base THEN (
            SELECT k.digest FROM eventstream.snapshots AS k WHERE k.stream_id = p_stream_id AND k.name = p_name) END,
        CASE WHEN e.version = v_base THEN (
            SELECT k.state FROM eventstream.snapshots AS k WHERE k.stream_id = p_stream_id AND k.name = p_name) END
    FROM eventstream.events AS e
    WHERE e.stream_id = p_stream_id AND e.version >= v_base
    ORDER BY e.version;
END;
$$;

COMMENT ON FUNCTION eventstream.load_snapshot IS
    'A stream on top of a snapshot: its events after that, behind the event at which the snapshot was made (without '
    'its content), which carries state and digest. All events where no snapshot can be used. head, beside the first '
    'row: version of the snapshot or 0; why one was not used (0 there is none, 1 other schema version, 2 of another '
    'history, 3 made after p_before_event, if the stream has that); when it was made; when the stream was; its last '
    'version; the highest version that waits and when it arrived (times in microseconds since 1970, 0 for none); the '
    'partitions of the store.';

CREATE VIEW eventstream.audit_snapshots AS
SELECT s.stream_id, s.name, s.version, l.version AS watermark, s.schema_version, s.created_at, p.problem
FROM eventstream.snapshots AS s
LEFT JOIN LATERAL (
    SELECT e.version
    FROM eventstream.events AS e
    WHERE e.stream_id = s.stream_id
    ORDER BY e.version DESC
    LIMIT 1
) AS l ON true
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN l.version IS NULL THEN 'its stream does not exist'
        WHEN s.version > l.version THEN 'ahead of its stream'
        WHEN NOT eventstream.snapshot_holds(s.stream_id, s.version, s.event_id) THEN 'of another history'
        WHEN s.digest <> sha256(s.state) THEN 'its state is damaged'
    END AS problem
) AS p
WHERE p.problem IS NOT NULL;

COMMENT ON VIEW eventstream.audit_snapshots IS
    'Snapshots that contradict the events, or whose state is damaged. They are not used, and the next one takes the '
    'place of each; but one that is ahead of its stream says that the stream once had more events. Reads every state.';

REVOKE EXECUTE ON FUNCTION eventstream.refuse_snapshot, eventstream.save_snapshot FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP VIEW eventstream.audit_snapshots;
DROP FUNCTION
    eventstream.load_snapshot, eventstream.save_snapshot, eventstream.refuse_snapshot, eventstream.snapshot_holds;
DROP TABLE eventstream.snapshots;
DROP FUNCTION eventstream.shows_stream;
