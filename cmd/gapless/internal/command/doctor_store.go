package command

// storeChecks look at what is in schema eventstream.
var storeChecks = [...]checkQuery{
	// What the roles of docs/design.md need, by the names that it gives to what they do.
	{"privileges", `
SELECT
    CASE WHEN r.may IS NULL THEN 'problem' ELSE 'ok' END AS status,
    format('role %s may %s', current_user, coalesce(r.may, 'do nothing here')) AS detail,
    CASE WHEN r.may IS NULL THEN 'grant it what docs/operations-roles.md says' ELSE '' END AS advice
FROM (
    SELECT string_agg(p.what, ', ' ORDER BY p.place) AS may
    FROM (VALUES
        (1, 'read', has_table_privilege('eventstream.events', 'SELECT')),
        (2, 'append', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname IN ('append_batch', 'append_event'))),
        (3, 'import', has_any_column_privilege('eventstream.events', 'INSERT')),
        (4, 'ingest', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname = 'ingest')),
        (5, 'discard what waits', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname = 'discard_pending')),
        (6, 'run subscriptions', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname IN ('claim_shards', 'move_checkpoint'))),
        (7, 'change subscriptions', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname IN ('reset_subscription', 'pause_subscription'))),
        (8, 'skip events', (SELECT bool_and(has_function_privilege(f.oid, 'EXECUTE')) FROM pg_catalog.pg_proc AS f
            WHERE f.pronamespace = to_regnamespace('eventstream') AND f.proname = 'skip_event')),
        (9, 'migrate', (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'eventstream'))
    ) AS p (place, what, granted)
    WHERE p.granted AND has_schema_privilege('eventstream', 'USAGE')
) AS r`},

	{"indexes", `
SELECT 'problem' AS status, format('index %s of %s is not valid', c.relname, i.indrelid::regclass) AS detail,
    format('REINDEX INDEX CONCURRENTLY eventstream.%I, or drop it', c.relname) AS advice
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace('eventstream') AND NOT (i.indisvalid AND i.indisready)
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.index_relid = c.oid)
UNION ALL
SELECT 'ok', format('all %s are valid', count(*)), ''
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace('eventstream')
HAVING bool_and(i.indisvalid AND i.indisready)`},

	{"tables", `
SELECT
    CASE WHEN t.xids > t.freeze * 1.5 OR t.dead > 10000 + t.live / 5 OR t.unknown THEN 'warning' ELSE 'ok' END AS status,
    format('%s: %s events or rows, %s dead, %s transactions since it was frozen, %s', t.name, t.live, t.dead, t.xids, t.size) AS detail,
    CASE WHEN t.xids > t.freeze * 1.5 OR t.dead > 10000 + t.live / 5 THEN format('VACUUM eventstream.%I, and find out what keeps autovacuum from it', t.name)
        WHEN t.unknown THEN format('ANALYZE eventstream.%I: the planner knows nothing of it', t.name)
        ELSE '' END AS advice
FROM (
    SELECT s.relname AS name, s.n_live_tup AS live, s.n_dead_tup AS dead, age(c.relfrozenxid)::bigint AS xids,
        current_setting('autovacuum_freeze_max_age')::bigint AS freeze, pg_size_pretty(pg_total_relation_size(c.oid)) AS size,
        s.n_live_tup > 10000 AND s.last_analyze IS NULL AND s.last_autoanalyze IS NULL AS unknown
    FROM pg_catalog.pg_stat_all_tables AS s
    JOIN pg_catalog.pg_class AS c ON c.oid = s.relid
    WHERE s.schemaname = 'eventstream' AND s.relname IN ('events', 'pending_events', 'subscription_shards')
) AS t
ORDER BY t.name`},

	// Readers see nothing above the position of the writer that is open longest.
	{"log", `
SELECT
    CASE WHEN l.age > interval '1 minute' THEN 'problem' WHEN l.age > interval '5 seconds' OR l.held_position IS NOT NULL AND l.pid IS NULL THEN 'warning'
        ELSE 'ok' END AS status,
    CASE WHEN l.held_position IS NULL THEN 'nobody holds it back'
        ELSE format('%s positions are held back by %s for %s', l.behind,
            coalesce('process ' || l.pid || coalesce(' (' || nullif(l.application, '') || ')', ''), 'a prepared transaction'),
            coalesce(date_trunc('second', l.age)::text, 'an unknown time')) END AS detail,
    CASE WHEN l.held_position IS NOT NULL AND l.pid IS NULL THEN 'COMMIT PREPARED or ROLLBACK PREPARED it: pg_prepared_xacts names it'
        WHEN l.age > interval '5 seconds' THEN format('end its transaction, or SELECT pg_terminate_backend(%s)', l.pid) ELSE '' END AS advice
FROM eventstream.audit_log AS l`},

	{"long transactions", `
SELECT
    CASE WHEN clock_timestamp() - a.xact_start > interval '1 hour' THEN 'warning' ELSE 'ok' END AS status,
    format('process %s (%s) is in a transaction for %s, %s', a.pid, a.application_name, date_trunc('second', clock_timestamp() - a.xact_start), a.state) AS detail,
    CASE WHEN clock_timestamp() - a.xact_start > interval '1 hour' THEN 'end it: vacuum cannot clean behind it' ELSE '' END AS advice
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND clock_timestamp() - a.xact_start > interval '1 minute'
UNION ALL
SELECT 'ok', 'none is open for longer than a minute', ''
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND clock_timestamp() - a.xact_start > interval '1 minute')`},

	// Events are recorded by this clock; one that went back shows in the newest of them.
	{"recorded times", `
SELECT
    CASE WHEN e.ahead > interval '5 seconds' THEN 'warning' ELSE 'ok' END AS status,
    CASE WHEN e.ahead > interval '5 seconds' THEN format('the newest event was recorded %s in the future', e.ahead)
        ELSE 'the newest event is not in the future' END AS detail,
    CASE WHEN e.ahead > interval '5 seconds' THEN 'the server''s clock went back: positions say the order, and times do not' ELSE '' END AS advice
FROM (
    SELECT (SELECT e.recorded_at FROM eventstream.events AS e ORDER BY e.position DESC LIMIT 1) - clock_timestamp() AS ahead
) AS e`},
}
