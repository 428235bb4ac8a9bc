-- +goose Up
-- Appending for one tenant, and what each role may do.
-- Locks: for a moment on each table that a right is granted on. At run time those of append_batch.
-- +goose StatementBegin

CREATE FUNCTION eventstream.tenant_append_event(
    p_stream_id text,
    p_expected bigint,
    p_event_id uuid,
    p_type text,
    p_payload jsonb,
    p_data bytea,
    p_metadata jsonb,
    p_occurred_at timestamptz,
    p_tenant_id text,
    p_partition_id integer,
    OUT outcome text,
    OUT first_version bigint,
    OUT last_version bigint,
    OUT last_position bigint,
    OUT current_version bigint,
    OUT watermark bigint,
    OUT tenant_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_id text := eventstream.admit_tenant(p_tenant_id);
BEGIN
    SELECT a.outcome, a.first_version, a.last_version, a.last_position, a.current_version, a.watermark, a.tenant_id
    INTO outcome, first_version, last_version, last_position, current_version, watermark, tenant_id
    FROM eventstream.append_event(p_stream_id, p_expected, p_event_id, p_type, p_payload, p_data, p_metadata, p_occurred_at,
        v_tenant_id, p_partition_id) AS a;
    IF outcome = 'tenant_mismatch' THEN
        outcome := eventstream.judge_unseen(p_expected);
        current_version := 0;
        watermark := 0;
        -- Of the one who asks.
        tenant_id := CASE outcome WHEN 'tenant_mismatch' THEN v_tenant_id END;
    END IF;
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_append_event IS
    'append_event for one tenant, the session''s: a stream of another is refused as one that does not exist.';

CREATE FUNCTION eventstream.tenant_append_batch(
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
    p_partition_ids integer[] DEFAULT NULL,
    p_atomic boolean DEFAULT true,
    p_units integer[] DEFAULT NULL
) RETURNS TABLE (
    request integer,
    outcome text,
    first_version bigint,
    last_version bigint,
    last_position bigint,
    current_version bigint,
    watermark bigint,
    tenant_id text
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_tenant_ids text[] := coalesce(p_tenant_ids, array_fill(NULL::text, ARRAY[cardinality(p_stream_ids)]));
    v_first text := eventstream.admit_tenant(v_tenant_ids[1]);
BEGIN
    IF (v_first = ALL (v_tenant_ids)) IS NOT TRUE THEN
        -- Each is judged by itself; who names none is of the session's.
        SELECT array_agg(t.admitted ORDER BY u.n) INTO v_tenant_ids
        FROM unnest(v_tenant_ids) WITH ORDINALITY AS u (tenant_id, n)
        JOIN (
            SELECT d.tenant_id, eventstream.admit_tenant(d.tenant_id) AS admitted
            FROM (SELECT DISTINCT q AS tenant_id FROM unnest(v_tenant_ids) AS q) AS d
        ) AS t ON t.tenant_id IS NOT DISTINCT FROM u.tenant_id;
    END IF;
    RETURN QUERY
    SELECT b.request, CASE WHEN u.is_unseen THEN eventstream.judge_unseen(p_expected[b.request]) ELSE b.outcome END, b.first_version,
        b.last_version, b.last_position, CASE WHEN u.is_unseen THEN 0 ELSE b.current_version END,
        CASE WHEN u.is_unseen THEN 0 ELSE b.watermark END,
        CASE
            WHEN NOT u.is_unseen THEN b.tenant_id
            -- Of the one who asks.
            WHEN eventstream.judge_unseen(p_expected[b.request]) = 'tenant_mismatch' THEN v_tenant_ids[b.request]
        END
    FROM eventstream.append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, v_tenant_ids, p_partition_ids, p_atomic, p_units) AS b
    CROSS JOIN LATERAL (SELECT b.outcome IS NOT DISTINCT FROM 'tenant_mismatch' AS is_unseen) AS u;
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_append_batch IS
    'append_batch for the tenant of the session, or for those that the requests name where it names none and may act '
    'for them: a stream of another tenant is refused as one that does not exist.';

CREATE FUNCTION eventstream.tenant_append_if(
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
AS $$
DECLARE
    -- A decision is of one tenant: on its events, and for its streams.
    v_tenant_id text := eventstream.admit_tenant(p_tenant_ids[1]);
    v_found bigint;
BEGIN
    PERFORM eventstream.check_query(p_query);
    PERFORM eventstream.check_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data, p_metadata,
        p_occurred_at, p_tenant_ids, p_partition_ids, NULL);
    IF EXISTS (SELECT FROM unnest(p_tenant_ids) AS t WHERE t <> '' AND t <> v_tenant_id) THEN
        PERFORM eventstream.refuse_value('tenants', p_tenant_ids::text, 'one for all requests of a decision');
    END IF;
    PERFORM eventstream.hold_tags_of_batch(p_types, p_metadata, eventstream.query_keys(p_query));
    IF NOT eventstream.check_decision(p_position, p_event_ids, cardinality(p_types)) THEN
        -- Of every tenant's, since the function does not know one, and then this tenant's first.
        SELECT f.position INTO v_found
        FROM eventstream.find_matching(p_query, p_position, pg_sequence_last_value('eventstream.events_position_seq'::regclass), NULL)
            AS f (position)
        CROSS JOIN LATERAL (
            SELECT e.tenant_id FROM eventstream.events AS e WHERE e.position = f.position OFFSET 0
        ) AS e
        WHERE e.tenant_id = v_tenant_id
        ORDER BY f.position
        LIMIT 1;
        IF FOUND THEN
            RETURN QUERY SELECT n, 'decision_conflict', NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::bigint, NULL::text,
                v_found FROM generate_subscripts(p_stream_ids, 1) AS n;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT b.request, b.outcome, b.first_version, b.last_version, b.last_position, b.current_version, b.watermark, b.tenant_id, NULL::bigint
    FROM eventstream.tenant_append_batch(p_stream_ids, p_expected, p_event_counts, p_event_ids, p_types, p_payloads, p_data,
        eventstream.note_decision(p_query, p_position, p_stream_ids, p_event_counts, p_types, p_metadata),
        p_occurred_at, array_fill(v_tenant_id, ARRAY[cardinality(p_stream_ids)]), p_partition_ids) AS b;
END;
$$;

COMMENT ON FUNCTION eventstream.tenant_append_if IS
    'append_if for one tenant, the session''s: events of others match no query, and their streams do not exist.';

CREATE FUNCTION eventstream.grant_roles() RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- What a reader needs to read everything; what is left out is other programs' business.
    v_read CONSTANT text[] := ARRAY['store', 'events', 'pending_events', 'discarded_events', 'streams', 'snapshots', 'log_state', 'log_marks',
        'partition_marks', 'subscriptions', 'subscription_shards', 'subscription_members', 'subscription_skips', 'parked_events',
        'rebuild_requests', 'audit_projections', 'seals', 'seal_links', 'event_digests', 'erasures', 'archived_events', 'archivings', 'schema_versions'];
    v_write CONSTANT text[] := ARRAY['append_batch', 'append_event', 'append_if', 'lock_query', 'ingest', 'advance_watermark',
        'close_stream', 'save_snapshot', 'set_timer', 'cancel_timers'];
    v_subscribe CONSTANT text[] := ARRAY['advance_stable_position', 'subscribe', 'claim_shards', 'release_shard', 'move_checkpoint',
        'move_idle_checkpoints', 'record_failure', 'park_events', 'create_projection', 'begin_rebuild', 'hold_projection',
        'replace_subscription', 'request_rebuild', 'cancel_rebuild', 'take_rebuild', 'end_rebuild', 'set_timer', 'cancel_timers',
        'take_timers', 'fail_timer', 'lock_process_states', 'save_process_states'];
    v_granted bigint := 0;
    r record;
BEGIN
    FOR r IN
        SELECT format('GRANT USAGE ON SCHEMA eventstream TO %I', m.role) AS statement, m.role
        FROM unnest(ARRAY['eventstream_writer', 'eventstream_reader', 'eventstream_subscriber', 'eventstream_auditor', 'eventstream_eraser',
            'eventstream_tenant']) AS m (role)
        UNION ALL
        SELECT format('GRANT %s ON %s TO %I', m.privileges, c.oid::regclass, m.role), m.role
        FROM (VALUES
            ('eventstream_reader', 'SELECT', v_read),
            ('eventstream_subscriber', 'SELECT', v_read || ARRAY['timers', 'process_states']),
            ('eventstream_subscriber', 'UPDATE, DELETE', ARRAY['parked_events']),
            -- Everything, what later migrations add included, once they call this function.
            ('eventstream_auditor', 'SELECT', NULL),
            -- Of the marks, which count everybody's events, it sees no row; but who asks whether the log holds an event needs the right.
            ('eventstream_tenant', 'SELECT', ARRAY['store', 'events', 'pending_events', 'streams', 'snapshots', 'log_state', 'log_marks',
                'partition_marks', 'tenant_roles', 'session_tenant'])
        ) AS m (role, privileges, tables)
        JOIN pg_class AS c ON c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname <> 'goose_db_version'
            AND (m.tables IS NULL OR c.relname = ANY (m.tables))
        UNION ALL
        -- The audit compares events with it.
        SELECT 'GRANT SELECT ON SEQUENCE eventstream.events_position_seq TO eventstream_all_tenants', 'eventstream_all_tenants'
        UNION ALL
        SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, m.role), m.role
        FROM (VALUES
            ('eventstream_writer', v_write),
            ('eventstream_subscriber', v_subscribe),
            ('eventstream_eraser', ARRAY['erase', 'forget_subject', 'archive', 'attach_archive']),
            ('eventstream_tenant', ARRAY['tenant_append_event', 'tenant_append_batch', 'tenant_append_if', 'tenant_ingest',
                'tenant_advance_watermark', 'tenant_save_snapshot', 'lock_query'])
        ) AS m (role, functions)
        JOIN pg_proc AS p ON p.pronamespace = 'eventstream'::regnamespace AND p.proname = ANY (m.functions)
        UNION ALL
        SELECT format('CREATE POLICY %1$I ON %2$s TO eventstream_all_tenants USING (true); COMMENT ON POLICY %1$I ON %2$s IS %3$L',
            c.relname || '_all_tenants', c.oid::regclass, 'Who is for all tenants sees all rows.'), 'eventstream_all_tenants'
        FROM pg_class AS c
        -- A snapshot is for who sees its stream, whoever that is.
        WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relrowsecurity AND c.relname <> 'snapshots'
            AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = c.relname || '_all_tenants')
    LOOP
        IF to_regrole(r.role) IS NOT NULL THEN
            EXECUTE r.statement;
            v_granted := v_granted + 1;
        END IF;
    END LOOP;
    -- What it made later than the install is no finding of the audit.
    INSERT INTO eventstream.schema_record (kind, name, digest)
    SELECT o.kind, o.name, sha256(convert_to(o.definition, 'UTF8'))
    FROM eventstream.schema_objects AS o
    WHERE o.kind = 'policy' AND o.definition = 'permissive for * to eventstream_all_tenants using true'
        AND NOT EXISTS (SELECT FROM eventstream.schema_record AS q WHERE q.kind = o.kind AND q.name = o.name);
    RETURN v_granted;
END;
$$;

COMMENT ON FUNCTION eventstream.grant_roles IS
    'Gives the roles of docs/security.md their rights, and eventstream_all_tenants its policies, as far as these roles '
    'exist. Again whenever roles were created after the install; how many statements that took.';

REVOKE EXECUTE ON FUNCTION
    eventstream.tenant_append_event, eventstream.tenant_append_batch, eventstream.tenant_append_if,
    eventstream.grant_roles
FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION
    eventstream.grant_roles, eventstream.tenant_append_if, eventstream.tenant_append_batch,
    eventstream.tenant_append_event;
