-- Written by "make generate" from migrations/; not edited by hand.

CREATE OR REPLACE FUNCTION eventstream.grant_roles()
 RETURNS bigint
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$;

COMMENT ON FUNCTION eventstream.grant_roles() IS 'Gives the roles of docs/security.md their rights, and eventstream_all_tenants its policies, as far as these roles exist. Again whenever roles were created after the install; how many statements that took.';

REVOKE ALL ON FUNCTION eventstream.grant_roles() FROM PUBLIC;
