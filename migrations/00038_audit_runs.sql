-- +goose Up
-- Audits on record, and from one to the next: what a clean one has seen is not read again by the one after it, so that a
-- job can look every hour at a store of any size. What checks a whole store is in 00024 and 00025.
-- Locks: none at install. At run time none but that of a row that is inserted.
-- +goose StatementBegin

CREATE FUNCTION eventstream.clock_steps(p_position bigint) RETURNS TABLE (
    "position" bigint,
    stream_id text,
    version bigint,
    recorded_at timestamptz,
    before timestamptz,
    problem text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT e.position, e.stream_id, e.version, e.recorded_at, e.before, 'the clock went back by more than a minute'
    FROM (
        SELECT n.position, n.stream_id, n.version, n.recorded_at, lag(n.recorded_at) OVER (ORDER BY n.position) AS before
        FROM eventstream.events AS n
        -- From the last one that was seen before on.
        WHERE n.position >= coalesce((SELECT max(p.position) FROM eventstream.events AS p WHERE p.position <= p_position), p_position)
    ) AS e
    WHERE e.recorded_at < e.before - interval '1 minute';
END;
$$;

COMMENT ON FUNCTION eventstream.clock_steps IS
    'Events after a position whose recorded_at is more than a minute below that of the event before them in the log.';

CREATE VIEW eventstream.audit_clocks AS
SELECT * FROM eventstream.clock_steps(-9223372036854775808);

COMMENT ON VIEW eventstream.audit_clocks IS
    'Where the database''s clock went back along the log by more than a minute: a clock that was set, another server, '
    'or times that somebody wrote. Nothing of the store rests on it, but times of its events do. Empty when nothing is '
    'wrong.';

CREATE VIEW eventstream.audit_checkpoints AS
SELECT h.subscription, h.shard, h.position, s.stable_position, 'beyond the stable position' AS problem
FROM eventstream.subscription_shards AS h
-- Asked after this statement has begun, so that it is not below what the shards have read by then. In a transaction of
-- one snapshot it is the kept one, which shards may be ahead of: there it is what was drawn. A standby knows neither.
CROSS JOIN (
    SELECT CASE
        WHEN pg_is_in_recovery() THEN NULL
        WHEN current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN eventstream.last_position()
        ELSE eventstream.stable_position()
    END AS stable_position
    OFFSET 0
) AS s
WHERE h.position > s.stable_position;

COMMENT ON VIEW eventstream.audit_checkpoints IS
    'Shards of subscriptions that claim to have read what cannot be read yet: a restore that lost the end of the log, '
    'or somebody who wrote checkpoints. They will miss events. Empty when nothing is wrong.';

CREATE FUNCTION eventstream.verify_newest_block() RETURNS TABLE (
    block bigint,
    stream_id text,
    version bigint,
    "position" bigint,
    problem text
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT n.block, b.stream_id, b.version, b.event_position, b.fault
    FROM (SELECT s.block FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1) AS n
    CROSS JOIN LATERAL eventstream.verify_block(n.block) AS b;
END;
$$;

COMMENT ON FUNCTION eventstream.verify_newest_block IS 'The rows of audit_newest_block.';

CREATE VIEW eventstream.audit_newest_block AS
SELECT * FROM eventstream.verify_newest_block();

COMMENT ON VIEW eventstream.audit_newest_block IS
    'Whether the events of the newest sealed block are as they were sealed. Empty when nothing is wrong; all blocks '
    'are for verify_seals().';

CREATE TABLE eventstream.audit_runs (
    run bigint GENERATED ALWAYS AS IDENTITY,
    since_run bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    position bigint NOT NULL,
    last_sequence bigint NOT NULL,
    errors bigint NOT NULL,
    warnings bigint NOT NULL,
    run_by text NOT NULL DEFAULT session_user,
    block bigint,
    seal bytea,
    erasure bigint NOT NULL DEFAULT 0,
    archiving bigint NOT NULL DEFAULT 0,
    CONSTRAINT audit_runs_pkey PRIMARY KEY (run)
);

-- The last clean one is where the next one begins.
CREATE INDEX audit_runs_clean_idx ON eventstream.audit_runs (run) WHERE errors = 0;

COMMENT ON TABLE eventstream.audit_runs IS
    'Audits that were made by run_audit(): what each covered and how much it found. On record for good.';
COMMENT ON COLUMN eventstream.audit_runs.run IS 'Number of the audit.';
COMMENT ON COLUMN eventstream.audit_runs.since_run IS
    'The clean audit that it went on from; NULL if it read everything.';
COMMENT ON COLUMN eventstream.audit_runs.started_at IS 'When it began.';
COMMENT ON COLUMN eventstream.audit_runs.finished_at IS 'When it ended.';
COMMENT ON COLUMN eventstream.audit_runs.position IS
    'Events up to here are covered: the kept stable position when it began.';
COMMENT ON COLUMN eventstream.audit_runs.last_sequence IS 'How many events there were up to that position.';
COMMENT ON COLUMN eventstream.audit_runs.errors IS 'How much damage it found; 0 if the store was clean.';
COMMENT ON COLUMN eventstream.audit_runs.warnings IS 'How much it found that is no damage.';
COMMENT ON COLUMN eventstream.audit_runs.run_by IS 'The database user who ran it.';
COMMENT ON COLUMN eventstream.audit_runs.block IS 'The newest sealed block when it began; NULL for none.';
COMMENT ON COLUMN eventstream.audit_runs.seal IS 'The seal of that block.';
COMMENT ON COLUMN eventstream.audit_runs.erasure IS
    'Erasures up to this number are covered: below it, none can appear any more.';
COMMENT ON COLUMN eventstream.audit_runs.archiving IS 'Moves to the archive up to this number are covered.';
COMMENT ON SEQUENCE eventstream.audit_runs_run_seq IS 'Numbers of audits; one that was rolled back leaves a hole.';
COMMENT ON INDEX eventstream.audit_runs_clean_idx IS 'The last clean audit.';

CREATE TRIGGER audit_runs_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.audit_runs
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'what was audited stays on record', 'Run another audit: SELECT * FROM eventstream.run_audit().');

COMMENT ON TRIGGER audit_runs_frozen ON eventstream.audit_runs IS 'The record is only added to.';

-- Each new event is compared with its predecessor, which is one look at the primary key; what a clean audit has seen is
-- not read but for those. Settings, so that a plan that was made for a small store is that of a large one.
CREATE FUNCTION eventstream.audit_events_after(p_position bigint) RETURNS TABLE (
    check_name text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT c.check_name, e.stream_id, c.version,
        jsonb_build_object('stream_id', e.stream_id, 'version', e.version, 'position', e.position, 'problem', c.problem)
    FROM eventstream.events AS e
    LEFT JOIN LATERAL (
        SELECT n.position, n.tenant_id, n.partition_id
        FROM eventstream.events AS n
        WHERE n.stream_id = e.stream_id AND n.version = e.version - 1
    ) AS p ON true
    CROSS JOIN (
        SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END AS last_position FROM eventstream.events_position_seq AS q
    ) AS l
    CROSS JOIN LATERAL (
        VALUES
            ('gaps', e.version - 1, e.version > 1 AND p.position IS NULL OR e.version < 1, 'version before it missing'),
            ('order', e.version, e.position <= p.position, 'position not above that of the version before'),
            ('order', e.version, e.position > l.last_position, 'position was never drawn'),
            ('tenants', e.version, e.tenant_id <> p.tenant_id, 'of another tenant than the version before'),
            ('partitions', e.version, e.partition_id <> p.partition_id, 'in another partition than the version before'),
            ('partitions', e.version, NOT eventstream.is_partition(e.partition_id), 'no such partition in this store'),
            ('values', e.version, NOT (
                eventstream.is_name(e.stream_id) AND eventstream.is_tenant_id(e.tenant_id) AND eventstream.is_name(e.type)
                AND eventstream.is_content(e.event_id, e.payload, e.data, e.metadata)
                AND eventstream.is_time(e.occurred_at) AND eventstream.is_time(e.recorded_at)), 'a value that the gate would refuse')
    ) AS c (check_name, version, fails, problem)
    WHERE e.position > p_position AND c.fails;
END;
$$;

COMMENT ON FUNCTION eventstream.audit_events_after IS
    'What is wrong with events after a position, each compared with its predecessor. Called by audit_since().';

-- What was numbered since then must be as many events as numbers; in partitions, from one mark to the next.
CREATE FUNCTION eventstream.audit_numbers_after(p_position bigint, p_sequence bigint) RETURNS TABLE (problem text, detail jsonb)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    v_state eventstream.log_state;
    v_events bigint;
BEGIN
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    IF v_state.stable_position < p_position OR eventstream.sequence_at(p_position) <> p_sequence THEN
        problem := 'sequence numbers that a clean audit saw are others now';
        detail := jsonb_build_object('position', p_position, 'sequence', p_sequence, 'is', eventstream.sequence_at(p_position),
            'problem', problem);
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT count(*) INTO v_events
    FROM eventstream.events AS e
    WHERE e.position > p_position AND e.position <= v_state.stable_position;
    SELECT v_events + count(*) INTO v_events
    FROM eventstream.partition_marks AS g
    WHERE g.removed AND g.position > p_position AND g.position <= v_state.stable_position
        AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position);
    problem := 'sequence numbers and events differ in number';
    IF v_events <> v_state.last_sequence - p_sequence THEN
        detail := jsonb_build_object('position', p_position, 'sequence', p_sequence, 'next_position', v_state.stable_position,
            'next_sequence', v_state.last_sequence, 'events', v_events, 'problem', problem);
        RETURN NEXT;
    END IF;
    RETURN QUERY
    SELECT problem, jsonb_build_object('partition_id', k.id, 'position', m.before, 'sequence', m.before_sequence,
        'next_position', m.position, 'next_sequence', m.sequence, 'events', c.events, 'problem', problem)
    FROM generate_series(0, eventstream.partition_count() - 1) AS k (id)
    CROSS JOIN LATERAL (
        SELECT g.position, g.sequence, lag(g.position) OVER w AS before, lag(g.sequence) OVER w AS before_sequence
        FROM eventstream.partition_marks AS g
        WHERE g.partition_id = k.id AND g.position >= coalesce((
            SELECT max(f.position) FROM eventstream.partition_marks AS f WHERE f.partition_id = k.id AND f.position <= p_position), 0)
        WINDOW w AS (ORDER BY g.position)
    ) AS m
    CROSS JOIN LATERAL (
        SELECT eventstream.count_in_partition(k.id, coalesce(m.before, 0), m.position, 128) + (
            SELECT count(*) FROM eventstream.partition_marks AS g
            WHERE g.removed AND g.partition_id = k.id AND g.position > coalesce(m.before, 0) AND g.position <= m.position
                AND NOT EXISTS (SELECT FROM eventstream.events AS e WHERE e.position = g.position)
        ) AS events
    ) AS c
    WHERE m.position > p_position AND c.events <> m.sequence - coalesce(m.before_sequence, 0);
END;
$$;

COMMENT ON FUNCTION eventstream.audit_numbers_after IS
    'Whether what was numbered after a position is there, as audit_sequences says of the whole log. Called by '
    'audit_since().';

CREATE FUNCTION eventstream.audit_since(p_run bigint) RETURNS TABLE (
    check_name text,
    severity text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    r eventstream.audit_runs;
BEGIN
    SELECT a.* INTO r FROM eventstream.audit_runs AS a WHERE a.run = p_run;
    RETURN QUERY
    SELECT o.check_name, o.severity, o.stream_id, o.version, o.detail FROM eventstream.audit_objects() AS o
    UNION ALL
    SELECT e.check_name, 'error', e.stream_id, e.version, e.detail FROM eventstream.audit_events_after(r.position) AS e
    UNION ALL
    SELECT 'sequences', 'error', NULL, NULL, n.detail FROM eventstream.audit_numbers_after(r.position, r.last_sequence) AS n
    UNION ALL
    SELECT 'clocks', 'warning', c.stream_id, c.version, to_jsonb(c) FROM eventstream.clock_steps(r.position) AS c
    UNION ALL
    SELECT 'seals', 'error', NULL, NULL, to_jsonb(s) FROM eventstream.audit_seals AS s WHERE s.block >= coalesce(r.block, 1)
    UNION ALL
    SELECT 'seals', 'error', NULL, NULL,
        jsonb_build_object('block', r.block, 'problem', 'not the seal that a clean audit saw')
    WHERE r.seal IS NOT NULL
        AND r.seal IS DISTINCT FROM (SELECT s.seal FROM eventstream.seals AS s WHERE s.block = r.block)
    UNION ALL
    -- The block that was the newest one is read again: it is what the clean audit knew best.
    SELECT 'seals', 'error', b.stream_id, b.version,
        jsonb_build_object('block', s.block, 'position', b.event_position, 'problem', b.fault)
    FROM eventstream.seals AS s
    CROSS JOIN LATERAL eventstream.verify_block(s.block) AS b
    WHERE s.block >= coalesce(r.block, 1)
    UNION ALL
    SELECT m.check_name, 'error', m.stream_id, m.version, m.detail
    FROM eventstream.audit_moved_since(r.archiving, r.erasure) AS m;
END;
$$;

COMMENT ON FUNCTION eventstream.audit_since IS
    'What audit() finds, as far as it was written, archived or erased after an audit on record, and all that does not '
    'grow with the log.';

CREATE FUNCTION eventstream.run_audit(p_full boolean DEFAULT false) RETURNS TABLE (
    check_name text,
    severity text,
    stream_id text,
    version bigint,
    detail jsonb
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_started_at timestamptz := clock_timestamp();
    v_state eventstream.log_state;
    v_seal record;
    v_erasure bigint;
    v_archiving bigint;
    v_since bigint;
    v_errors bigint := 0;
    v_warnings bigint := 0;
BEGIN
    -- Before anything is checked: what is numbered by now is seen by every statement below.
    SELECT l.* INTO v_state FROM eventstream.log_state AS l WHERE l.lane = 0;
    SELECT s.block, s.seal INTO v_seal FROM eventstream.seals AS s ORDER BY s.block DESC LIMIT 1;
    SELECT coalesce(max(k.archiving), 0) INTO v_archiving FROM eventstream.archivings AS k;
    IF NOT current_setting('transaction_read_only')::boolean THEN
        v_erasure := eventstream.settled_erasure();
    END IF;
    IF p_full IS NOT TRUE THEN
        SELECT max(a.run) INTO v_since FROM eventstream.audit_runs AS a WHERE a.errors = 0;
    END IF;
    FOR check_name, severity, stream_id, version, detail IN
        SELECT a.check_name, a.severity, a.stream_id, a.version, a.detail
        FROM eventstream.audit_since(v_since) AS a WHERE v_since IS NOT NULL
        UNION ALL
        SELECT a.check_name, a.severity, a.stream_id, a.version, a.detail FROM eventstream.audit() AS a WHERE v_since IS NULL
        UNION ALL
        SELECT 'seals', 'error', b.stream_id, b.version,
            jsonb_build_object('block', s.block, 'position', b.event_position, 'problem', b.fault)
        FROM eventstream.seal_links AS s
        CROSS JOIN LATERAL eventstream.verify_block(s.block) AS b
        WHERE v_since IS NULL AND s.whole AND s.block < v_seal.block
    LOOP
        v_errors := v_errors + (severity = 'error')::integer;
        v_warnings := v_warnings + (severity <> 'error')::integer;
        RETURN NEXT;
    END LOOP;
    IF NOT current_setting('transaction_read_only')::boolean THEN
        INSERT INTO eventstream.audit_runs (since_run, started_at, position, last_sequence, errors, warnings, block, seal, erasure,
            archiving)
        VALUES (v_since, v_started_at, v_state.stable_position, v_state.last_sequence, v_errors, v_warnings, v_seal.block, v_seal.seal,
            v_erasure, v_archiving);
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.run_audit IS
    'Audits the store and puts that on record in audit_runs: all of it the first time, after that what came since the '
    'last one without an error, unless p_full. No row means clean. p_full also compares every sealed block with its '
    'events. Covers what advance_stable_position() has numbered: call that before, in a transaction of its own.';

REVOKE EXECUTE ON FUNCTION
    eventstream.audit_events_after, eventstream.audit_numbers_after, eventstream.audit_since, eventstream.run_audit
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.run_audit, eventstream.audit_since, eventstream.audit_numbers_after, eventstream.audit_events_after;
DROP TABLE eventstream.audit_runs;
DROP VIEW eventstream.audit_newest_block;
DROP FUNCTION eventstream.verify_newest_block;
DROP VIEW eventstream.audit_checkpoints;
DROP VIEW eventstream.audit_clocks;
DROP FUNCTION eventstream.clock_steps;
