package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// readerRole makes a role that may read everything: docs/design.md, Roles.
func readerRole(t *testing.T, b *bundle) string {
	t.Helper()
	role := newRole(t, b)
	awaitTemporaryObjectsGone(t, b, role)
	simple(t, session(t, b),
		`GRANT USAGE ON SCHEMA eventstream TO `+role,
		`GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role)
	return role
}

// spying opens a session of a role whose function pg_temp.spy(text) says, in a notice, which role runs it. A notice outlives every error.
// The second result gives what was said by another role than the attacker's own.
func spying(t *testing.T, b *bundle, role string) (conn *pgx.Conn, others func() []string, own func() []string) {
	t.Helper()
	conn, notices := connectNoticing(t, b.dsn, role)
	simple(t, conn, `CREATE FUNCTION pg_temp.spy(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $f$
		BEGIN RAISE NOTICE 'spy % %', what, CASE current_user WHEN session_user THEN 'own' ELSE 'other' END; RETURN true; END $f$`)
	said := func(who string) func() []string {
		return func() (out []string) {
			for _, n := range notices() {
				if strings.HasPrefix(n, "spy ") && strings.HasSuffix(n, " "+who) {
					out = append(out, n)
				}
			}
			return out
		}
	}
	return conn, said("other"), said("own")
}

// triggerFunctions are all trigger functions of the schema, those that run with the rights of their owner first.
func triggerFunctions(t *testing.T, b *bundle) (definers, others []string) {
	t.Helper()
	const list = `SELECT p.oid::regproc::text FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype = 'trigger'::regtype AND p.prosecdef = $1 ORDER BY 1`
	return texts(t, b, list, true), texts(t, b, list, false)
}

// borrowings are the ways to put a trigger function on a table of the attacker's, with what fires it.
var borrowings = []struct{ clause, fire string }{
	{`BEFORE INSERT ON pg_temp.mine FOR EACH STATEMENT`, `INSERT INTO pg_temp.mine DEFAULT VALUES`},
	{`BEFORE INSERT ON pg_temp.mine FOR EACH ROW`, `INSERT INTO pg_temp.mine DEFAULT VALUES`},
	{
		`AFTER INSERT ON pg_temp.mine REFERENCING NEW TABLE AS new_events FOR EACH STATEMENT`,
		`INSERT INTO pg_temp.mine DEFAULT VALUES`,
	},
	{`AFTER DELETE ON pg_temp.mine REFERENCING OLD TABLE AS old_events FOR EACH STATEMENT`, `DELETE FROM pg_temp.mine`},
	{`BEFORE UPDATE ON pg_temp.mine FOR EACH STATEMENT`, `UPDATE pg_temp.mine SET version = version`},
	{`BEFORE TRUNCATE ON pg_temp.mine FOR EACH STATEMENT`, `TRUNCATE pg_temp.mine`},
}

// trapped is what the attacker's casts give: a value of each type of a column, so that his table looks like ours.
var trapped = map[string]string{
	"int8": "1", "int4": "1", "text": "'order-1'", "uuid": "gen_random_uuid()", "timestamptz": "clock_timestamp()", "jsonb": "'{}'", "bytea": "NULL",
}

// traps makes the types, each with an implicit cast that calls code of the attacker's: the way in that no search_path closes.
func traps(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for kind, value := range trapped {
		simple(t, conn, fmt.Sprintf(`CREATE TYPE pg_temp.trap_%[1]s AS (n pg_catalog.int8);
			CREATE FUNCTION pg_temp.to_%[1]s(t pg_temp.trap_%[1]s) RETURNS pg_catalog.%[1]s LANGUAGE plpgsql AS
			$f$ BEGIN PERFORM pg_temp.spy('cast to %[1]s'); RETURN %[2]s; END $f$;
			CREATE CAST (pg_temp.trap_%[1]s AS pg_catalog.%[1]s) WITH FUNCTION pg_temp.to_%[1]s(pg_temp.trap_%[1]s) AS IMPLICIT`, kind, value))
	}
}

// mine makes a table with the columns of events and pending_events and a row in it; those columns that match a pattern are of trapped types.
func mine(t *testing.T, b *bundle, conn *pgx.Conn, pattern string) {
	t.Helper()
	columns := texts(t, b, `SELECT format(CASE WHEN c.name ~ $1 THEN '%I pg_temp.trap_%s DEFAULT ROW(1)::pg_temp.trap_%2$s' ELSE '%I pg_catalog.%s DEFAULT ' || CASE c.kind WHEN 'int8' THEN '1' ELSE 'NULL' END END,
			c.name, c.kind)
		FROM (SELECT DISTINCT a.attname::text, y.typname::text
			FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid
			WHERE a.attrelid IN ('eventstream.events'::regclass, 'eventstream.pending_events'::regclass) AND a.attnum > 0) AS c (name, kind)`, pattern)
	simple(t, conn, `DROP TABLE IF EXISTS pg_temp.mine`, `CREATE TEMP TABLE mine (`+strings.Join(columns, ", ")+`)`,
		`INSERT INTO pg_temp.mine DEFAULT VALUES`)
}

// borrow puts a trigger function on the table and fires it, in a transaction that is given up.
func borrow(t *testing.T, b *bundle, conn *pgx.Conn, function, clause, fire string) (create, run error) {
	t.Helper()
	tx, err := conn.Begin(b.ctx)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(b.ctx)) }()
	create = simpleErr(b.ctx, conn, `CREATE TRIGGER borrowed `+clause+` EXECUTE FUNCTION `+function+`('ES004', 'a', 'b')`)
	if create == nil {
		run = simpleErr(b.ctx, conn, fire)
	}
	return create, run
}

// The trigger functions run with the rights of their owner, over the rows of the table that they are put on. Nobody may put them on a
// table of his own; and who was given the right by mistake is refused before any column is looked at.
func TestBorrowedTriggerFunctionsAreRefused(t *testing.T) {
	t.Parallel()
	for who, grant := range map[string]func(t *testing.T, b *bundle) string{"Reader": readerRole, "Writer": writerRole} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			role := grant(t, b)
			before := contents(t, b.pool)
			conn, asOther, _ := spying(t, b, role)
			traps(t, conn)
			mine(t, b, conn, `.`)
			definers, others := triggerFunctions(t, b)
			require.NotEmpty(t, definers)
			for _, function := range append(definers, others...) {
				for _, way := range borrowings {
					create, _ := borrow(t, b, conn, function, way.clause, way.fire)
					requireSQLState(t, create, denied)
				}
				execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION `+function+` TO `+role)
				for _, way := range borrowings {
					create, run := borrow(t, b, conn, function, way.clause, way.fire)
					require.NoError(t, create)
					require.Error(t, run, "%s %s", function, way.clause)
				}
			}
			for _, pattern := range []string{`.`, `^tenant_id$`, `^version$`} {
				mine(t, b, conn, pattern)
				for _, function := range definers {
					for _, way := range borrowings {
						_, run := borrow(t, b, conn, function, way.clause, way.fire)
						require.Contains(t, requireSQLState(t, run, "ES009").Message, "runs on table", "%s %s", function, way.clause)
					}
				}
			}
			require.Empty(t, asOther())
			require.Equal(t, before, contents(t, b.pool))
			requireAuditClean(t, b)
		})
	}
}

// The table is what keeps the attacker's code out: without the look at it, the same borrowing runs as the owner.
func TestBorrowedTriggerFunctionsWithoutTheLookRunAsTheOwner(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	role := readerRole(t, b)
	rewrite(t, b, "eventstream.events_gate()", "IF TG_RELID <> 'eventstream.events'::regclass THEN", "IF false THEN")
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION eventstream.events_gate() TO `+role)
	conn, asOther, _ := spying(t, b, role)
	traps(t, conn)
	mine(t, b, conn, `^tenant_id$`)
	_, run := borrow(t, b, conn, "eventstream.events_gate", borrowings[2].clause, borrowings[2].fire)
	require.NotEmpty(t, asOther(), "%v", run)
}
