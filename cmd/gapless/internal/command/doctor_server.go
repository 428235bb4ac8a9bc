package command

// serverChecks need no schema. Each gives a row at least, so that what was looked at is seen.
var serverChecks = [...]checkQuery{
	{"server version", `
SELECT
    CASE WHEN v.n BETWEEN 150000 AND 189999 THEN 'ok' ELSE 'problem' END AS status,
    'PostgreSQL ' || current_setting('server_version') AS detail,
    CASE WHEN v.n BETWEEN 150000 AND 189999 THEN '' ELSE 'PostgreSQL 15 to 18 are supported' END AS advice
FROM (SELECT current_setting('server_version_num')::integer AS n) AS v`},

	{"encoding", `
SELECT
    CASE WHEN current_setting('server_encoding') = 'UTF8' THEN 'ok' ELSE 'problem' END AS status,
    current_setting('server_encoding') AS detail,
    CASE WHEN current_setting('server_encoding') = 'UTF8' THEN '' ELSE 'create the database with ENCODING UTF8' END AS advice`},

	// What a crash may cost, and what keeps an append-only table in order.
	{"settings", `
SELECT
    CASE WHEN g.setting = ANY (s.good) THEN 'ok' ELSE s.otherwise END AS status,
    g.name || ' = ' || g.setting AS detail,
    CASE WHEN g.setting = ANY (s.good) THEN '' ELSE s.advice END AS advice
FROM (VALUES
    ('fsync', '{on}'::text[], 'problem', 'turn it on: without it a crash of the machine damages the database'),
    ('full_page_writes', '{on}', 'problem', 'turn it on: without it a crash of the machine damages the database'),
    ('synchronous_commit', '{on,remote_write,remote_apply,local}', 'warning',
        'turn it on: without it a crash loses events that were confirmed'),
    ('autovacuum', '{on}', 'problem', 'turn it on: without it the server comes to a stop at the wraparound of transaction ids'),
    ('track_activities', '{on}', 'warning', 'turn it on: without it nobody can see who holds the log back')
) AS s (name, good, otherwise, advice)
JOIN pg_catalog.pg_settings AS g ON g.name = s.name
ORDER BY s.name`},

	{"replication", `
SELECT 'ok' AS status, 'this is a standby, which serves reads; subscriptions run on the primary' AS detail, '' AS advice
WHERE pg_is_in_recovery()
UNION ALL
SELECT
    CASE WHEN r.behind > interval '1 minute' THEN 'warning' ELSE 'ok' END,
    format('standby %s: %s, %s behind', r.application_name, r.state, coalesce(r.behind, interval '0')),
    CASE WHEN r.behind > interval '1 minute' THEN 'look at its log and its disk: a failover would lose what it does not have' ELSE '' END
FROM (SELECT s.application_name, s.state, s.replay_lag AS behind FROM pg_catalog.pg_stat_replication AS s) AS r
UNION ALL
SELECT 'ok', 'no standby is connected', ''
WHERE NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_replication)`},

	// A slot that nobody reads keeps WAL until the disk is full.
	{"replication slots", `
SELECT
    CASE WHEN s.wal_status = 'lost' THEN 'problem' WHEN NOT s.active THEN 'warning' ELSE 'ok' END AS status,
    format('slot %s: %s, keeps %s of WAL', s.slot_name, CASE WHEN s.active THEN 'active' ELSE 'nobody reads it' END,
        coalesce(pg_size_pretty(CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END), 'some')) AS detail,
    CASE WHEN s.wal_status = 'lost' THEN 'make its consumer anew: what it needs is gone'
        WHEN NOT s.active THEN 'start what reads it, or drop the slot: it fills the disk' ELSE '' END AS advice
FROM pg_catalog.pg_replication_slots AS s
UNION ALL
SELECT 'ok', 'there are none', '' WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots)`},

	{"prepared transactions", `
SELECT
    CASE WHEN clock_timestamp() - p.prepared > interval '1 minute' THEN 'problem' ELSE 'warning' END AS status,
    format('%s of %s is open for %s', p.gid, p.owner, date_trunc('second', clock_timestamp() - p.prepared)) AS detail,
    'COMMIT PREPARED or ROLLBACK PREPARED it: it may hold the log back, and vacuum' AS advice
FROM pg_catalog.pg_prepared_xacts AS p
WHERE p.database = current_database()
UNION ALL
SELECT 'ok', 'there are none', ''
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = current_database())`},
}
