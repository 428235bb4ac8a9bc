-- +goose Up
-- Roles, and tenants by row security: who is for all tenants, what the others see, and for whom they write.
-- Locks: ACCESS EXCLUSIVE on the tables for the moment of ENABLE ROW LEVEL SECURITY. It reads no rows.
--
-- Roles belong to the cluster, not to the database: another database of it may have made them, another session may make
-- them at this moment, and Down leaves them. Where the installer may not create roles, the install goes on without, and
-- docs/security.md has the statements for who may.
-- +goose StatementBegin

DO $$
DECLARE
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['eventstream_owner', 'eventstream_all_tenants', 'eventstream_writer', 'eventstream_reader',
        'eventstream_subscriber', 'eventstream_auditor', 'eventstream_eraser', 'eventstream_tenant']
    LOOP
        IF to_regrole(v_role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN
                    NULL; -- Another session was faster, which is as good.
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role % is not created, for want of the right: docs/security.md says how', v_role;
            END;
        END IF;
    END LOOP;
    -- These roles are for all tenants, and say so by being members of the one role that the policies name.
    FOREACH v_role IN ARRAY ARRAY['eventstream_writer', 'eventstream_reader', 'eventstream_subscriber', 'eventstream_auditor',
        'eventstream_eraser']
    LOOP
        IF to_regrole('eventstream_all_tenants') IS NOT NULL AND to_regrole(v_role) IS NOT NULL AND NOT EXISTS (
            SELECT FROM pg_auth_members AS m
            WHERE m.roleid = to_regrole('eventstream_all_tenants') AND m.member = to_regrole(v_role))
        THEN
            BEGIN
                EXECUTE format('GRANT eventstream_all_tenants TO %I', v_role);
            EXCEPTION
                WHEN unique_violation THEN
                    NULL; -- As above.
                WHEN insufficient_privilege THEN
                    RAISE NOTICE 'role eventstream_all_tenants is not granted to %: docs/security.md says how', v_role;
            END;
        END IF;
    END LOOP;
END;
$$;

CREATE TABLE eventstream.tenant_roles (
    role_name name COLLATE "C" NOT NULL,
    tenant_id text COLLATE "C" NOT NULL,
    CONSTRAINT tenant_roles_pkey PRIMARY KEY (role_name, tenant_id),
    -- The rule for tenants: 1 to 64 of A-Z a-z 0-9 _ -.
    CONSTRAINT tenant_roles_tenant_id_valid CHECK (eventstream.is_tenant_id(tenant_id))
);

COMMENT ON TABLE eventstream.tenant_roles IS
    'Logins that are bound to tenants: one that is listed sees and writes for its tenants alone, whatever its session '
    'says. One that is not listed is trusted to name the tenant that it acts for.';
COMMENT ON COLUMN eventstream.tenant_roles.role_name IS 'Name of a role that logs in.';
COMMENT ON COLUMN eventstream.tenant_roles.tenant_id IS 'A tenant that it may act for.';

-- Who called a function that runs with the rights of its owner, where current_user is that owner.
CREATE FUNCTION eventstream.calling_role() RETURNS name
LANGUAGE sql
STABLE
RETURN coalesce(nullif(current_setting('role'), 'none')::name, session_user);

COMMENT ON FUNCTION eventstream.calling_role IS
    'The role of the session: the one that was set, else the one that logged in. Not who calls where a function of '
    'somebody''s runs in between, or where PostgreSQL itself calls, as autovacuum does in a superuser''s session.';

CREATE FUNCTION eventstream.is_bound(p_role text) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NOT (
        pg_has_role(p_role, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'eventstream.events'::regclass), 'USAGE')
        OR coalesce(pg_has_role(p_role, to_regrole('eventstream_all_tenants'), 'USAGE'), false)
        OR (SELECT r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = p_role));
END;
$$;

COMMENT ON FUNCTION eventstream.is_bound IS
    'Whether row security holds a role to one tenant: false for superusers, the owner, members of '
    'eventstream_all_tenants, and roles with BYPASSRLS.';

-- The one rule of all policies: the tenant that the session names, unless a login that is listed in tenant_roles names one
-- that is not its own, where both count, who logged in and in whose name the statement runs, which nobody can forge. Logins
-- that are listed are few, and what they cost is a function's: in the view, it would be set up for every statement of anybody.
-- It runs with the rights of who reads, and sees what tenant_roles shows to that role: its own rows, and the login's. For
-- PUBLIC, since the right to call it is looked at before it is known whether it is called.
CREATE FUNCTION eventstream.bound_tenant() RETURNS text
LANGUAGE plpgsql
STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id text := nullif(current_setting('eventstream.tenant_id', true), '');
BEGIN
    -- A login is listed at most once for a tenant, so as many rows as logins say that each has it.
    RETURN (
        SELECT v_tenant_id
        FROM eventstream.tenant_roles AS r
        WHERE r.role_name IN (session_user, current_user)
        HAVING count(DISTINCT r.role_name) = count(*) FILTER (WHERE r.tenant_id = v_tenant_id));
END;
$$;

COMMENT ON FUNCTION eventstream.bound_tenant IS
    'The tenant that the session names, if those of its login and its current role that tenant_roles lists are both '
    'bound to it, else NULL. For session_tenant.';

-- It looks whether the login is listed with the rights of its owner, whom no policy of that table holds: such a policy would
-- be a part of each plan, and planned and set up each time.
CREATE VIEW eventstream.session_tenant AS
SELECT CASE
    WHEN EXISTS (SELECT FROM eventstream.tenant_roles AS r WHERE r.role_name IN (session_user, current_user))
        THEN eventstream.bound_tenant()
    ELSE nullif(current_setting('eventstream.tenant_id', true), '')
END AS tenant_id;

COMMENT ON VIEW eventstream.session_tenant IS
    'The tenant whose rows the session is shown: one row, NULL where it names none or where its login is bound to '
    'others. What the policies ask. Looks with the rights of its owner, and tells nothing of other logins.';

-- The rule is a view rather than a function, which would cost more than all the rest of a short query; a sub-select, so that
-- it is evaluated once a statement. For those who are for all tenants, a policy that is true makes the planner drop it.
-- Tables that do not say whose their rows are show them to nobody else, or to those who see the stream. Never FORCE: the
-- functions that write, the gate among them, must see every event.
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['events', 'pending_events', 'discarded_events', 'archived_events'] LOOP
        EXECUTE format('ALTER TABLE eventstream.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format($policy$
            CREATE POLICY %I ON eventstream.%I USING (tenant_id = (SELECT s.tenant_id FROM eventstream.session_tenant AS s))
            $policy$, v_table || '_of_tenant', v_table);
        EXECUTE format('COMMENT ON POLICY %I ON eventstream.%I IS %L', v_table || '_of_tenant', v_table,
            'Who is not for all tenants sees and writes what is of the tenant that its session names.');
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['parked_events', 'erasures'] LOOP
        EXECUTE format('ALTER TABLE eventstream.%I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY %I ON eventstream.%I USING (eventstream.shows_stream(stream_id))', v_table || '_of_visible_streams', v_table);
        EXECUTE format('COMMENT ON POLICY %I ON eventstream.%I IS %L', v_table || '_of_visible_streams', v_table,
            'What happened to an event is for those alone who may read the stream.');
    END LOOP;
    EXECUTE 'CREATE POLICY tenant_roles_own ON eventstream.tenant_roles FOR SELECT USING (role_name IN (session_user, current_user))';
    EXECUTE 'COMMENT ON POLICY tenant_roles_own ON eventstream.tenant_roles IS ''A login sees to whom it is bound, and of no other.''';
    FOREACH v_table IN ARRAY ARRAY['log_marks', 'partition_marks', 'process_states', 'rebuild_requests', 'subscription_shards',
        'subscription_skips', 'tenant_roles', 'timers']
    LOOP
        EXECUTE format('ALTER TABLE eventstream.%I ENABLE ROW LEVEL SECURITY', v_table);
    END LOOP;
    -- A view runs with the rights of its owner, whom no policy holds, unless it says otherwise.
    FOR v_table IN SELECT c.relname FROM pg_class AS c
        WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'v' AND c.relname <> 'session_tenant'
    LOOP
        EXECUTE format('ALTER VIEW eventstream.%I SET (security_invoker = true)', v_table);
    END LOOP;
END;
$$;

-- append_batch and its like run with the owner's rights, which no policy holds, and cannot know who calls them: current_user
-- is the owner by then, and the session's user is a superuser while autovacuum evaluates anybody's index function. So they
-- are for who is for all tenants, and a bound role has functions of its own, which act for one tenant whoever calls.

CREATE FUNCTION eventstream.admit_tenant(p_tenant_id text) RETURNS text
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_role name := eventstream.calling_role();
    v_session text := nullif(current_setting('eventstream.tenant_id', true), '');
    v_tenant_id text := coalesce(nullif(p_tenant_id, ''), v_session);
BEGIN
    -- A session that is not bound has not meant this; or PostgreSQL runs somebody's code in it, as autovacuum does.
    IF v_role <> 'eventstream_tenant'
        AND NOT (pg_has_role(v_role, 'eventstream_tenant', 'USAGE') AND eventstream.is_bound(v_role))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s is not bound to a tenant', v_role),
            HINT = 'SET ROLE eventstream_tenant first; or, for all tenants, call append_batch and its like.';
    ELSIF v_tenant_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'the session does not say for which tenant it acts',
            HINT = 'SELECT set_config(''eventstream.tenant_id'', ''...'', true) in the transaction, first.';
    ELSIF v_tenant_id <> v_session THEN
        PERFORM eventstream.refuse(
            'ES003',
            format('the session acts for tenant %L, the event is of tenant %L', v_session, v_tenant_id),
            jsonb_build_object('stream_tenant', v_session, 'event_tenant', v_tenant_id),
            'Leave the tenant of the event out, or set eventstream.tenant_id to it.');
    ELSIF EXISTS (
        SELECT FROM eventstream.tenant_roles AS r
        WHERE r.role_name IN (session_user, v_role) AND NOT EXISTS (
            SELECT FROM eventstream.tenant_roles AS q WHERE q.role_name = r.role_name AND q.tenant_id = v_tenant_id))
    THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role %s may not act for tenant %L', session_user, v_tenant_id),
            HINT = 'It is bound to others, by eventstream.tenant_roles.';
    END IF;
    RETURN v_tenant_id;
END;
$$;

COMMENT ON FUNCTION eventstream.admit_tenant IS
    'The tenant that a writing call acts for: the given one, which must be that of the session if that names one, else '
    'the session''s. Raises 42501 or ES003 if the caller may not. For the functions that write for one tenant.';

-- An append that does not begin a stream is refused as if there were none. One that would begin it cannot succeed, since
-- ids are the store's: that says that somebody uses the id, and nothing else.
CREATE FUNCTION eventstream.judge_unseen(p_expected bigint) RETURNS text
LANGUAGE sql
IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN p_expected = -2 THEN 'stream_missing'
    WHEN p_expected > 0 THEN 'version_conflict'
    ELSE 'tenant_mismatch'
END;

COMMENT ON FUNCTION eventstream.judge_unseen IS
    'Outcome of a request to a stream of another tenant: that of a stream that does not exist; tenant_mismatch where '
    'the request would have begun it.';

CREATE FUNCTION eventstream.tenant_ingest(
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
AS $$
BEGIN
    RETURN QUERY
    SELECT i.appended, i.pending, i.duplicates, i.watermark, i.current_version
    FROM eventstream.ingest(p_stream_id, p_versions, p_event_ids, p_types, p_payloads, p_data, p_metadata, p_occurred_at,
        eventstream.admit_tenant(p_tenant_id), p_partition_id, p_max_ahead) AS i;
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_ingest IS
    'ingest for one tenant, the session''s; ES003 for a stream that another one uses, without a word of it.';

-- Whose a stream is: its first event says so, or, as long as that has not come, those that wait.
CREATE FUNCTION eventstream.is_of_tenant(p_stream_id text, p_tenant_id text) RETURNS boolean
LANGUAGE plpgsql
STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM ONLY eventstream.events AS e WHERE e.stream_id = p_stream_id AND e.version = 1 AND e.tenant_id = p_tenant_id
        UNION ALL
        SELECT FROM eventstream.pending_events AS p WHERE p.stream_id = p_stream_id AND p.tenant_id = p_tenant_id);
END;
$$;

COMMENT ON FUNCTION eventstream.is_of_tenant IS 'Whether a stream exists and is of this tenant.';

CREATE FUNCTION eventstream.tenant_advance_watermark(p_stream_id text) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT eventstream.is_of_tenant(p_stream_id, eventstream.admit_tenant(NULL)) THEN
        RETURN 0;
    END IF;
    RETURN eventstream.advance_watermark(p_stream_id);
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_advance_watermark IS
    'advance_watermark for a stream of the session''s tenant; 0 for any other, as for an unknown one.';

CREATE FUNCTION eventstream.tenant_save_snapshot(
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
    v_tenant_id text := eventstream.admit_tenant(NULL);
BEGIN
    PERFORM eventstream.refuse_snapshot(p_name, p_schema_version, p_state);
    IF NOT eventstream.is_of_tenant(p_stream_id, v_tenant_id) THEN
        RETURN 'contradicted';
    END IF;
    RETURN eventstream.save_snapshot(p_stream_id, p_name, p_version, p_event_id, p_schema_version, p_state);
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_save_snapshot IS
    'save_snapshot for a stream of the session''s tenant; contradicted for any other, as for an unknown one.';

REVOKE EXECUTE ON FUNCTION
    eventstream.admit_tenant, eventstream.judge_unseen, eventstream.is_of_tenant, eventstream.tenant_advance_watermark,
    eventstream.tenant_save_snapshot, eventstream.tenant_ingest
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.tenant_save_snapshot, eventstream.tenant_advance_watermark, eventstream.is_of_tenant,
    eventstream.tenant_ingest, eventstream.judge_unseen, eventstream.admit_tenant;
-- The roles stay: other databases may use them.
-- +goose StatementBegin
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'v' LOOP
        EXECUTE format('ALTER VIEW eventstream.%I RESET (security_invoker)', r.relname);
    END LOOP;
    FOR r IN
        SELECT p.polname, c.relname
        FROM pg_policy AS p
        JOIN pg_class AS c ON c.oid = p.polrelid
        WHERE c.relnamespace = 'eventstream'::regnamespace AND p.polname <> 'snapshots_of_visible_streams'
    LOOP
        EXECUTE format('DROP POLICY %I ON eventstream.%I', r.polname, r.relname);
    END LOOP;
    FOR r IN
        SELECT c.relname FROM pg_class AS c
        WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity AND c.relname <> 'snapshots'
    LOOP
        EXECUTE format('ALTER TABLE eventstream.%I DISABLE ROW LEVEL SECURITY', r.relname);
    END LOOP;
END;
$$;
-- +goose StatementEnd
DROP FUNCTION eventstream.is_bound, eventstream.calling_role;
DROP VIEW eventstream.session_tenant;
DROP FUNCTION eventstream.bound_tenant;
DROP TABLE eventstream.tenant_roles;
