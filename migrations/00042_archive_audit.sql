-- +goose Up
-- What was moved to the archive, on record; and what the audit says of the archive and of erasures. Both are written
-- to at any place of the log, long after the audit that saw these events: so that the next one need not read either
-- whole, each move and each erasure has a number of its own, and it looks at those that came since.
-- Locks: none at install. At run time run_audit() takes SHARE on erasures for the moment of a look, if nobody writes
-- there.
-- +goose StatementBegin

CREATE TABLE eventstream.archivings (
    archiving bigint GENERATED ALWAYS AS IDENTITY,
    from_version bigint NOT NULL,
    to_version bigint NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    stream_id text COLLATE "C" NOT NULL,
    archived_by text NOT NULL DEFAULT session_user,
    CONSTRAINT archivings_pkey PRIMARY KEY (archiving),
    -- An event moves once.
    CONSTRAINT archivings_stream_id_from_version_key UNIQUE (stream_id, from_version),
    -- The first event of a stream stays, and a move moves something.
    CONSTRAINT archivings_versions_ordered CHECK (from_version > 1 AND to_version >= from_version)
);

COMMENT ON TABLE eventstream.archivings IS
    'What was moved to archived_events: a row for each stream of each move. Written by the guard of that table, and '
    'never changed; the audit looks at what was moved since the last clean one.';
COMMENT ON COLUMN eventstream.archivings.archiving IS
    'Its number, drawn while no other transaction archives: a lower one is never seen later.';
COMMENT ON COLUMN eventstream.archivings.from_version IS 'First version that was moved.';
COMMENT ON COLUMN eventstream.archivings.to_version IS 'Last version that was moved; all between the two were.';
COMMENT ON COLUMN eventstream.archivings.archived_at IS 'When, by the database''s clock.';
COMMENT ON COLUMN eventstream.archivings.stream_id IS 'The stream.';
COMMENT ON COLUMN eventstream.archivings.archived_by IS 'The database user who moved them.';
COMMENT ON SEQUENCE eventstream.archivings_archiving_seq IS
    'Numbers of moves to the archive; one that was rolled back leaves a hole.';

CREATE TRIGGER archivings_frozen
    BEFORE UPDATE OR DELETE OR TRUNCATE ON eventstream.archivings
    FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change(
        'ES004', 'what was archived stays on record', 'Nothing moves an event back.');

COMMENT ON TRIGGER archivings_frozen ON eventstream.archivings IS 'The record is only added to.';

-- It names streams, and not whose they are.
ALTER TABLE eventstream.archivings ENABLE ROW LEVEL SECURITY;

-- Seals and gaps are for others to judge, who read archived events as they read all. Here is what they cannot see: an
-- event that is in both tables, or in the one where it does not belong, or on record and in neither.
CREATE VIEW eventstream.audit_archive AS
SELECT a.stream_id, a.version, a.position, p.problem
FROM eventstream.archived_events AS a
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN EXISTS (
                SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = a.stream_id AND e.version = a.version)
            OR EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.event_id = a.event_id)
            OR EXISTS (SELECT FROM ONLY eventstream.events AS e WHERE e.position = a.position) THEN 'in events as well'
        WHEN a.version > 2 AND NOT EXISTS (
            SELECT FROM eventstream.archived_events AS b WHERE b.stream_id = a.stream_id AND b.version = a.version - 1)
            THEN 'archived without the version before it'
        WHEN NOT EXISTS (
            SELECT FROM eventstream.events AS e WHERE e.stream_id = a.stream_id AND e.version = a.version + 1)
            THEN 'the last of its stream, which stays in events'
    END AS problem
) AS p
WHERE p.problem IS NOT NULL
UNION ALL
SELECT k.stream_id, k.from_version, NULL::bigint, 'on record as archived, and not all in the archive'
FROM eventstream.archivings AS k
WHERE k.to_version - k.from_version + 1 <> (
    SELECT count(*) FROM eventstream.archived_events AS a
    WHERE a.stream_id = k.stream_id AND a.version >= k.from_version AND a.version <= k.to_version);

COMMENT ON VIEW eventstream.audit_archive IS
    'Archived events that are in events as well, or that archive() would not have moved, and moves on record whose '
    'events are not in the archive. Empty when nothing is wrong. Reads the archive whole.';

-- What a block says of one event, without a look at the others: positions are sorted, so it is found in a few steps.
CREATE FUNCTION eventstream.sealed_digest(p_position bigint) RETURNS bytea
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_key bytea := int8send(p_position);
    s record;
    v_from integer := 0;
    v_to integer;
    v_at integer;
BEGIN
    -- A copy in memory: of what is stored apart, each substr would look up its pieces. Where a block has an event at each
    -- of its positions, as most have, they need not be read.
    SELECT q.block, q.event_count, q.from_position,
        CASE WHEN q.event_count <= q.to_position - q.from_position THEN q.positions || ''::bytea END AS positions
    INTO s
    FROM eventstream.seals AS q WHERE q.to_position >= p_position ORDER BY q.to_position LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    ELSIF s.positions IS NULL THEN
        RETURN (
            SELECT substr(q.leaves, (p_position - s.from_position)::integer * 32 + 1, 32)
            FROM eventstream.seals AS q
            WHERE q.block = s.block
        );
    END IF;
    v_to := s.event_count;
    WHILE v_from < v_to LOOP
        v_at := (v_from + v_to) / 2;
        IF substr(s.positions, v_at * 8 + 1, 8) < v_key THEN
            v_from := v_at + 1;
        ELSE
            v_to := v_at;
        END IF;
    END LOOP;
    IF substr(s.positions, v_from * 8 + 1, 8) <> v_key THEN
        RETURN ''::bytea;
    END IF;
    RETURN (SELECT substr(q.leaves, v_from * 32 + 1, 32) FROM eventstream.seals AS q WHERE q.block = s.block);
END;
$$;

COMMENT ON FUNCTION eventstream.sealed_digest IS
    'The digest that an event at a position was sealed with; NULL if no block reaches so far, and no bytes if the '
    'block that does has no such event.';

-- The guards let no record be written without its erasure. Who went past them shows here. The other way round says
-- nothing: an event that was erased in the store that it was imported from has its record there.
CREATE VIEW eventstream.audit_erasures AS
SELECT r.erasure, r.stream_id, r.version, r.position, p.problem
FROM eventstream.erasures AS r
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN (r.reason ~ '[^[:space:]]') IS NOT TRUE THEN 'on record as erased without a reason'
        WHEN CASE r.place
            WHEN 'events' THEN NOT EXISTS (
                SELECT FROM eventstream.events AS e
                WHERE e.stream_id = r.stream_id AND e.version = r.version AND e.event_id = r.event_id
                    AND e.position = r.position AND eventstream.is_erased(e.payload, e.data, e.metadata))
            ELSE NOT EXISTS (
                SELECT FROM eventstream.discarded_events AS d
                WHERE d.stream_id = r.stream_id AND d.version = r.version AND d.event_id = r.event_id
                    AND eventstream.is_erased(d.payload, d.data, d.metadata))
            END THEN 'on record as erased, and not erased'
        WHEN r.place = 'events' AND eventstream.sealed_digest(r.position) <> (
            SELECT g.digest
            FROM eventstream.event_digests AS g
            WHERE g.stream_id = r.stream_id AND g.version = r.version
        ) THEN 'on record with digests of something else than what was sealed'
    END AS problem
) AS p
WHERE p.problem IS NOT NULL;

COMMENT ON VIEW eventstream.audit_erasures IS
    'Records of erasures without a reason, whose event is not erased or is not there, or whose digests are not those '
    'that the event was sealed with. Empty when nothing is wrong.';

ALTER VIEW eventstream.audit_archive SET (security_invoker = true);
ALTER VIEW eventstream.audit_erasures SET (security_invoker = true);

-- A number of an erasure up to which all are seen: an erasure takes its number before it commits. Whoever writes to
-- the table holds ROW EXCLUSIVE on it until then; so who gets SHARE knows that nobody is about to, and what is there
-- is all. The lock is not waited for, and goes with the subtransaction, long before the audit ends. Where somebody
-- does write, or where the snapshot is older than this look, the number stays that of the audit before.
CREATE FUNCTION eventstream.settled_erasure() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    v_settled bigint := coalesce((SELECT a.erasure FROM eventstream.audit_runs AS a ORDER BY a.run DESC LIMIT 1), 0);
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN v_settled;
    END IF;
    BEGIN
        LOCK TABLE eventstream.erasures IN SHARE MODE NOWAIT;
        v_settled := greatest(v_settled, (SELECT max(r.erasure) FROM eventstream.erasures AS r));
        RAISE EXCEPTION USING ERRCODE = 'raise_exception';
    EXCEPTION WHEN lock_not_available OR raise_exception THEN
        RETURN v_settled;
    END;
END;
$$;

COMMENT ON FUNCTION eventstream.settled_erasure IS
    'The highest number of an erasure below which none can appear any more. Called by run_audit().';

-- The look at the archive and at erasures that does not grow with either. What was archived is compared with its seals
-- as well: it was moved, which is when something may have happened to it.
CREATE FUNCTION eventstream.audit_moved_since(p_archiving bigint, p_erasure bigint) RETURNS TABLE (
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
    SELECT 'archive', x.stream_id, x.version, to_jsonb(x)
    FROM eventstream.archivings AS k
    CROSS JOIN LATERAL (
        SELECT a.stream_id, a.version, a.position, a.problem
        FROM eventstream.audit_archive AS a
        WHERE a.stream_id = k.stream_id AND a.version >= k.from_version AND a.version <= k.to_version
        UNION ALL
        SELECT g.stream_id, g.version, g.position, 'not as it was sealed'
        FROM eventstream.event_digests AS g
        WHERE g.stream_id = k.stream_id AND g.version >= k.from_version AND g.version <= k.to_version
            AND g.digest <> eventstream.sealed_digest(g.position)
    ) AS x
    WHERE k.archiving > p_archiving
    UNION ALL
    SELECT 'erasures', r.stream_id, r.version, to_jsonb(r)
    FROM eventstream.audit_erasures AS r
    WHERE r.erasure > p_erasure;
END;
$$;

COMMENT ON FUNCTION eventstream.audit_moved_since IS
    'What is wrong with what was archived, and erased, after these numbers. Called by audit_since().';

REVOKE EXECUTE ON FUNCTION eventstream.settled_erasure, eventstream.audit_moved_since FROM PUBLIC;

SELECT eventstream.grant_roles();

-- The first release: no code from before it knows this schema.
SELECT eventstream.declare_version(42, 42);

SELECT eventstream.record_schema();
-- +goose StatementEnd

-- +goose Down
SELECT eventstream.refuse_to_drop_events();
DELETE FROM eventstream.schema_versions WHERE version = 42;
-- +goose StatementBegin
DO $$
DECLARE
    v_role text;
    v_policy name;
    v_table regclass;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['eventstream_writer', 'eventstream_reader', 'eventstream_subscriber',
        'eventstream_auditor', 'eventstream_eraser', 'eventstream_tenant', 'eventstream_all_tenants']
    LOOP
        IF to_regrole(v_role) IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA eventstream FROM %I', v_role);
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA eventstream FROM %I', v_role);
            EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA eventstream FROM %I', v_role);
            EXECUTE format('REVOKE ALL ON SCHEMA eventstream FROM %I', v_role);
        END IF;
    END LOOP;
    FOR v_policy, v_table IN
        SELECT p.polname, p.polrelid::regclass
        FROM pg_policy AS p
        JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE c.relnamespace = 'eventstream'::regnamespace AND p.polname = c.relname || '_all_tenants'
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', v_policy, v_table);
    END LOOP;
END;
$$;
-- +goose StatementEnd
DROP FUNCTION eventstream.audit_moved_since, eventstream.settled_erasure;
DROP VIEW eventstream.audit_erasures;
DROP VIEW eventstream.audit_archive;
DROP FUNCTION eventstream.sealed_digest;
DROP TABLE eventstream.archivings;
