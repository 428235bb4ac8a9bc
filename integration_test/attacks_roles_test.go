package integration_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// documentedRights are those of docs/design.md, for roles that are no owner: what an attacker with a stolen password has.
var documentedRights = map[string]string{
	"reader":   `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO attacker`,
	"appender": `GRANT EXECUTE ON FUNCTION eventstream.append_batch, eventstream.append_event TO attacker`,
	"ingester": `GRANT EXECUTE ON FUNCTION eventstream.ingest, eventstream.advance_watermark TO attacker`,
	"writer": `GRANT INSERT (` + writersColumns + `), SELECT ON eventstream.events TO attacker;
		GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO attacker`,
	"importer": `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO attacker; GRANT INSERT (` + writersColumns + `) ON eventstream.events TO attacker;
		GRANT USAGE ON SEQUENCE eventstream.events_position_seq TO attacker`,
	"subscriber": strings.ReplaceAll(strings.ReplaceAll(subscriberRights, "TO subscriber", "TO attacker"), "GRANT USAGE ON SCHEMA eventstream TO attacker;", ""),
	"auditor": `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO attacker;
		GRANT EXECUTE ON FUNCTION eventstream.run_audit, eventstream.advance_stable_position TO attacker`,
	"shredder": `GRANT SELECT ON eventstream.subject_keys, eventstream.forgotten_subjects TO attacker;
		GRANT EXECUTE ON FUNCTION eventstream.create_subject_key, eventstream.forget_subject TO attacker`,
}

// attacksOnTables are generated over the catalog: every way to write into a table that the role has no right to, by table or by column.
const attacksOnTables = `
	SELECT format(o.sql, c.oid::regclass, (SELECT quote_ident(f.attname)
		FROM pg_attribute AS f WHERE f.attrelid = c.oid AND f.attnum > 0 AND f.attidentity = '' AND NOT f.attisdropped ORDER BY f.attnum LIMIT 1))
	FROM pg_class AS c
	CROSS JOIN (VALUES
		('INSERT', 'INSERT INTO %s DEFAULT VALUES'), ('INSERT', 'COPY %s FROM STDIN'), ('UPDATE', 'UPDATE %s SET %s = NULL'),
		('UPDATE', 'SELECT * FROM %s FOR UPDATE'), ('DELETE', 'DELETE FROM %s'), ('TRUNCATE', 'TRUNCATE %s CASCADE'),
		('TRIGGER', 'CREATE TRIGGER a AFTER INSERT ON %s FOR EACH STATEMENT EXECUTE FUNCTION eventstream.refuse_change()'),
		('UPDATE', 'LOCK TABLE %s IN ACCESS EXCLUSIVE MODE'), ('SELECT', 'SELECT * FROM %s'), ('SELECT', 'COPY (TABLE %s) TO STDOUT')
	) AS o (needs, sql)
	WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'r' AND NOT (c.relname = 'parked_events' AND o.sql LIKE 'LOCK%%')
		AND NOT has_table_privilege($1::text, c.oid, o.needs)
		AND NOT (o.needs = 'INSERT' AND has_any_column_privilege($1::text, c.oid, 'INSERT'))
		AND NOT (o.needs = 'SELECT' AND has_any_column_privilege($1::text, c.oid, 'SELECT'))
	ORDER BY c.relname, o.sql`

// attacksOnObjects are DDL and settings, for each table and function, that an owner or a superuser alone may use.
const attacksOnObjects = `
	SELECT format(o.sql, c.oid::regclass)
	FROM pg_class AS c
	CROSS JOIN (VALUES
		('ALTER TABLE %s DISABLE TRIGGER ALL'), ('ALTER TABLE %s ENABLE ROW LEVEL SECURITY'), ('ALTER TABLE %s OWNER TO CURRENT_USER'),
		('CREATE RULE r AS ON INSERT TO %s DO INSTEAD NOTHING'), ('CREATE POLICY p ON %s USING (true)'), ('DROP TABLE %s CASCADE'),
		('CREATE INDEX ON %s ((1))'), ('COMMENT ON TABLE %s IS ''mine'''), ('ALTER TABLE %s ADD COLUMN mine text')
	) AS o (sql)
	WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'r'
	UNION ALL
	SELECT format(o.sql, p.oid::regprocedure)
	FROM pg_proc AS p
	CROSS JOIN (VALUES
		('ALTER FUNCTION %s OWNER TO CURRENT_USER'), ('DROP FUNCTION %s CASCADE'), ('ALTER FUNCTION %s RESET ALL')
	) AS o (sql)
	WHERE p.pronamespace = 'eventstream'::regnamespace
	UNION ALL
	SELECT format('CREATE OR REPLACE VIEW %s AS SELECT 1 AS x', c.oid::regclass)
	FROM pg_class AS c WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind = 'v'`

// attacksOnFunctions call every function that the role may not execute.
const attacksOnFunctions = `
	SELECT format('SELECT eventstream.%I(%s)', p.proname, (
		SELECT string_agg(format('NULL::%s', t.id::regtype), ', ' ORDER BY t.n) FROM unnest(p.proargtypes) WITH ORDINALITY AS t (id, n)))
	FROM pg_proc AS p
	WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype <> 'trigger'::regtype AND NOT has_function_privilege($1::text, p.oid, 'EXECUTE')
	ORDER BY 1`

// attacksByHand are those that no catalog lists.
var attacksByHand = []string{
	`SET session_replication_role = replica`, `SET ROLE pg_write_all_data`, `SET allow_system_table_mods = on`,
	`CREATE TABLE eventstream.mine (x integer)`, `CREATE TYPE eventstream.mine AS (x integer)`,
	`CREATE FUNCTION eventstream.mine() RETURNS integer LANGUAGE sql RETURN 1`, `CREATE OPERATOR eventstream.=== (FUNCTION = int4eq, LEFTARG = integer, RIGHTARG = integer)`,
	`CREATE FUNCTION pg_catalog.mine() RETURNS integer LANGUAGE sql RETURN 1`, `ALTER SCHEMA eventstream RENAME TO theirs`, `DROP SCHEMA eventstream CASCADE`,
	`ALTER SCHEMA eventstream OWNER TO CURRENT_USER`, `SELECT setval('eventstream.events_position_seq', 1)`,
	`ALTER SEQUENCE eventstream.events_position_seq RESTART`, `ALTER SEQUENCE eventstream.events_position_seq CACHE 100`,
	`CREATE CAST (text AS eventstream.events) WITH INOUT`, `COPY eventstream.events TO PROGRAM 'cat'`, `COPY eventstream.events TO '/tmp/mine'`,
	`CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION eventstream.refuse_change()`,
	`UPDATE pg_catalog.pg_trigger SET tgenabled = 'D'`, `UPDATE pg_catalog.pg_proc SET prosrc = ''`, `DELETE FROM pg_catalog.pg_class`,
	`SELECT pg_read_file('PG_VERSION')`, `SELECT lo_import('/etc/passwd')`, `CREATE PUBLICATION mine FOR ALL TABLES`,
	`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'postgres'`,
	`CREATE SUBSCRIPTION mine CONNECTION 'dbname=x' PUBLICATION y WITH (connect = false)`, `REASSIGN OWNED BY postgres TO CURRENT_USER`, `ALTER ROLE postgres NOLOGIN`,
	`ALTER DATABASE postgres SET session_replication_role = replica`, `CREATE RULE r AS ON SELECT TO pg_catalog.pg_class DO INSTEAD SELECT 1`,
	`MERGE INTO eventstream.store AS s USING (SELECT 1 AS one) AS o ON true WHEN MATCHED THEN DELETE`,
	`SECURITY LABEL ON TABLE eventstream.events IS 'mine'`, `CREATE STATISTICS eventstream.mine ON stream_id, version FROM eventstream.events`,
}

// Whoever has a role's password can do what the role is documented to do, and nothing else: every table and every function of the catalog, those
// included that are added later. Each attempt is refused with the reason.
func TestAttacksOfEachDocumentedRoleAreRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for name, rights := range documentedRights {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			simple(t, session(t, b), hole, `SELECT eventstream.create_subject_key('customer-1', gen_random_uuid(), '\x01')`)
			before := contents(t, b.pool)
			role := newRole(t, b)
			simple(t, session(t, b), `GRANT USAGE ON SCHEMA eventstream TO `+role, strings.ReplaceAll(rights, "TO attacker", "TO "+role))
			attempts := slices.Concat(texts(t, b, attacksOnTables, role), texts(t, b, attacksOnFunctions, role), texts(t, b, attacksOnObjects), attacksByHand)
			conn := connect(t, b.dsn, role)
			var through []string
			for _, sql := range attempts {
				if err := attempted(b.ctx, conn, sql); !refusesRights(sqlState(err)) {
					through = append(through, fmt.Sprintf("%s: %v", sql, err))
				}
			}
			require.Empty(t, strings.Join(through, "\n"))
			require.Greater(t, len(attempts), 120)
			t.Logf("%s: %d attempts, all refused", name, len(attempts))
			require.Equal(t, before, contents(t, b.pool))
			require.Equal(t, []string{holeIsThere}, auditProblems(t, b.pool))
		})
	}
}

// refusesRights says whether an attempt failed for want of rights, rather than for something that would have been done with them: a system column
// or catalog that nobody changes (42809, 42P17), or a view of other columns (42P16), which is looked at before the right is.
func refusesRights(code string) bool {
	return slices.Contains([]string{denied, "42809", "42P16", "42P17", "22023"}, code)
}

// The owner, who is no superuser, may do DDL, which the audit shows, and yet not change history: every table with a guard, by every statement.
func TestAttacksOfTheOwnerOnGuardedTablesAreRefused(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := attackStore(t)
	simple(t, session(t, b), hole, `SELECT eventstream.seal()`, `SELECT eventstream.forget_subject('customer-1', 'asked to')`,
		`SELECT eventstream.create_subject_key('customer-2', gen_random_uuid(), '\x01')`, `SELECT * FROM eventstream.run_audit()`)
	before := contents(t, b.pool)
	owner := connect(t, b.dsn, ownerRole(t, b))
	attempts := texts(t, b, `
		SELECT format(o.sql, c.oid::regclass)
		FROM pg_trigger AS g
		JOIN pg_class AS c ON c.oid = g.tgrelid
		JOIN pg_proc AS p ON p.oid = g.tgfoid
		-- The bits of tgtype: 8 is DELETE, 16 is UPDATE, 32 is TRUNCATE.
		CROSS JOIN (VALUES (8, 'DELETE FROM %s'), (8, 'DELETE FROM %s WHERE false'), (32, 'TRUNCATE %s CASCADE')) AS o (bit, sql)
		WHERE c.relnamespace = 'eventstream'::regnamespace AND p.proname = 'refuse_change' AND g.tgtype & o.bit > 0
		UNION ALL
		SELECT format('UPDATE %s SET %I = %I', c.oid::regclass, a.attname, a.attname)
		FROM pg_trigger AS g
		JOIN pg_class AS c ON c.oid = g.tgrelid
		JOIN pg_proc AS p ON p.oid = g.tgfoid
		JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = ''
		WHERE c.relnamespace = 'eventstream'::regnamespace AND p.proname = 'refuse_change' AND g.tgtype & 16 > 0 AND g.tgqual IS NULL
			AND (cardinality(g.tgattr::smallint[]) = 0 OR a.attnum = ANY (g.tgattr::smallint[]))
		ORDER BY 1`)
	for _, sql := range attempts {
		code := "ES004"
		if strings.Contains(sql, " eventstream.store ") || strings.HasSuffix(sql, " eventstream.store") {
			code = "ES009"
		}
		err := attempted(b.ctx, owner, sql)
		require.Equal(t, code, sqlState(err), "%s: %v", sql, err)
	}
	require.Greater(t, len(attempts), 60)
	t.Logf("%d attempts, all refused", len(attempts))
	for _, sql := range []string{
		`SET session_replication_role = replica`, `SELECT pg_read_file('PG_VERSION')`, `UPDATE pg_catalog.pg_trigger SET tgenabled = 'D'`,
		`COPY eventstream.events TO PROGRAM 'cat'`, `SET ROLE pg_write_server_files`,
	} {
		require.Equal(t, denied, sqlState(attempted(b.ctx, owner, sql)), sql)
	}
	require.Equal(t, before, contents(t, b.pool))
	require.Equal(t, []string{holeIsThere}, auditProblems(t, b.pool))
}

// attempted runs a statement in a transaction that is taken back, whatever comes of it.
func attempted(ctx context.Context, conn *pgx.Conn, sql string) error {
	if err := simpleErr(ctx, conn, `BEGIN`); err != nil {
		return err
	}
	err := simpleErr(ctx, conn, sql)
	if back := simpleErr(ctx, conn, `ROLLBACK`); back != nil {
		return fmt.Errorf("after %s: %w", sql, back)
	}
	return err
}
