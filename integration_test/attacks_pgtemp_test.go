package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// connectNoticing is connect, with what the server says meanwhile.
func connectNoticing(t *testing.T, dsn, user string) (conn *pgx.Conn, notices func() []string) {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	prepareConfig(t, config)
	var mu sync.Mutex
	var said []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, n.Message)
	}
	conn, err = pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	simple(t, conn, "SET SESSION AUTHORIZATION "+pgx.Identifier{user}.Sanitize())
	return conn, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), said...)
	}
}

// trapsInPgTemp puts something of the attacker's in the place of everything that a function could find in pg_temp: a domain with a CHECK
// for every type of pg_catalog, functions and operators by their usual names, tables and views for ours and for the catalog's.
func trapsInPgTemp(t *testing.T, b *bundle, conn *pgx.Conn) {
	t.Helper()
	for _, name := range texts(t, b, `SELECT y.typname::text FROM pg_catalog.pg_type AS y
		WHERE y.typnamespace = 'pg_catalog'::regnamespace AND y.typtype = 'b' AND y.typelem = 0 AND y.typisdefined AND y.typname NOT LIKE 'pg\_%'
		UNION ALL SELECT y.typname::text FROM pg_catalog.pg_type AS y WHERE y.oid IN ('oidvector'::regtype, 'name'::regtype)`) {
		simple(t, conn, fmt.Sprintf(`CREATE DOMAIN pg_temp.%[1]s AS pg_catalog.%[1]s CHECK (pg_temp.spy('type %[2]s'))`, pgx.Identifier{name}.Sanitize(), name))
	}
	for _, f := range []string{
		"octet_length(text) int4", "hashtext(text) int4", "now() timestamptz", "clock_timestamp() timestamptz", "statement_timestamp() timestamptz",
		"current_setting(text, bool) text", "set_config(text, text, bool) text", "split_part(text, text, int4) text", "nextval(regclass) int8",
		"pg_sequence_last_value(regclass) int8", "pg_try_advisory_xact_lock_shared(int8) bool", "jsonb_typeof(jsonb) text", "sha256(bytea) bytea",
		"gen_random_uuid() uuid", "quote_literal(text) text", "int8eq(int8, int8) bool", "texteq(text, text) bool",
	} {
		signature, result, _ := strings.Cut(f, ") ")
		name, arguments, _ := strings.Cut(signature, "(")
		var typed []string
		for _, a := range strings.FieldsFunc(arguments, func(r rune) bool { return r == ',' || r == ' ' }) {
			typed = append(typed, "pg_catalog."+a)
		}
		simple(t, conn, fmt.Sprintf(`CREATE FUNCTION pg_temp.%[1]s(%[2]s) RETURNS pg_catalog.%[3]s LANGUAGE plpgsql AS
			$f$ BEGIN PERFORM pg_temp.spy('function %[1]s'); RETURN NULL; END $f$`, name, strings.Join(typed, ", "), result))
	}
	simple(t, conn,
		`CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.int8, RIGHTARG = pg_catalog.int8, FUNCTION = pg_temp.int8eq)`,
		`CREATE OPERATOR pg_temp.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = pg_temp.texteq)`)
	for _, name := range texts(t, b, `SELECT c.relname::text FROM pg_catalog.pg_class AS c
		WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname <> 'goose_db_version'`) {
		simple(t, conn, fmt.Sprintf(`CREATE TEMP VIEW %[1]s AS SELECT *, pg_temp.spy('view %[1]s') AS spied FROM eventstream.%[1]s`, name))
	}
	for _, name := range []string{"pg_locks", "pg_class", "pg_proc", "pg_trigger", "pg_sequence", "pg_database", "pg_constraint", "pg_stat_activity"} {
		simple(t, conn, fmt.Sprintf(`CREATE TEMP VIEW %[1]s AS SELECT *, pg_temp.spy('view %[1]s') AS spied FROM pg_catalog.%[1]s`, name))
	}
}

// literals are an argument of each type that a function of the schema takes.
var literals = map[string]string{
	"text": `order-1`, "_text": `{order-1}`, "int8": `1`, "_int8": `{1}`, "int4": `1`, "_int4": `{1}`, "jsonb": `{"kind": "beginning"}`,
	"_jsonb": `{"{}"}`, "bool": `true`, "int8range": `[1,2)`, "uuid": `018f0000-0000-7000-8000-000000000001`, "_uuid": `{018f0000-0000-7000-8000-000000000001}`,
	"timestamptz": `2024-01-01`, "_timestamptz": `{2024-01-01}`, "bytea": `\x00`, "_bytea": `{"\\x00"}`, "interval": `0`, "_bool": `{true}`,
}

// callsOf are calls of every function that a role may execute: with an argument for each parameter, with NULLs, and with none but those
// that must be given; and a look at everything that it may read.
func callsOf(t *testing.T, b *bundle, role string) (calls []string) {
	t.Helper()
	r, err := b.pool.Query(b.ctx, `
		SELECT p.proname::text, ARRAY(SELECT y.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY AS a (oid, n)
			JOIN pg_catalog.pg_type AS y ON y.oid = a.oid ORDER BY a.n), p.pronargdefaults::integer
		FROM pg_catalog.pg_proc AS p
		WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype <> 'trigger'::regtype
			AND has_function_privilege($1::text, p.oid, 'EXECUTE')`, role)
	require.NoError(t, err)
	var name string
	var types []string
	var defaults int
	_, err = pgx.ForEachRow(r, []any{&name, &types, &defaults}, func() error {
		var full, nulls []string
		for _, y := range types {
			kind := "pg_catalog." + y
			if y == "verdicts" || y == "events" {
				kind = "eventstream." + y
				full = append(full, "NULL::"+kind)
			} else {
				require.Contains(t, literals, y, name)
				full = append(full, "'"+literals[y]+"'::"+kind)
			}
			nulls = append(nulls, "NULL::"+kind)
		}
		for _, arguments := range [][]string{full, nulls, full[:len(full)-defaults]} {
			calls = append(calls, fmt.Sprintf(`SELECT * FROM eventstream.%s(%s)`, name, strings.Join(arguments, ", ")))
		}
		return nil
	})
	require.NoError(t, err)
	for _, relation := range texts(t, b, `SELECT c.relname::text FROM pg_catalog.pg_class AS c
		WHERE c.relnamespace = 'eventstream'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege($1::text, c.oid, 'SELECT')`, role) {
		calls = append(calls, `SELECT * FROM eventstream.`+relation)
	}
	return calls
}

// serviceRole may execute every function of the schema but for trigger functions: more than anybody is documented to have.
func serviceRole(t *testing.T, b *bundle) string {
	t.Helper()
	role := writerRole(t, b)
	simple(t, session(t, b), `GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role,
		fmt.Sprintf(`DO $d$ DECLARE r record; BEGIN
			FOR r IN SELECT p.oid::regprocedure AS f FROM pg_catalog.pg_proc AS p
				WHERE p.pronamespace = 'eventstream'::regnamespace AND p.prorettype <> 'trigger'::regtype
			LOOP EXECUTE format('GRANT EXECUTE ON FUNCTION %%s TO %s', r.f); END LOOP; END $d$`, role))
	return role
}

// Whatever a role puts into pg_temp, under whatever name, and whatever it then calls: nothing of it runs as somebody else.
func TestNothingInPgTempRunsAsSomebodyElse(t *testing.T) {
	t.Parallel()
	for who, grant := range map[string]func(t *testing.T, b *bundle) string{
		"Reader": readerRole, "Writer": writerRole, "Service": serviceRole,
	} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			b := attackStore(t)
			_ = ownerRole(t, b)
			role := grant(t, b)
			conn, asOther, asOwn := spying(t, b, role)
			trapsInPgTemp(t, b, conn)
			_ = simpleErr(b.ctx, conn, `SELECT 'x'::text`)
			require.Equal(t, []string{"spy type text own"}, asOwn(), "the traps work")

			calls := callsOf(t, b, role)
			require.Greater(t, len(calls), 60)
			for n, version := range []int64{4, 5, 9, 0} {
				calls = append(calls, insertSQL(rows(order1(version))), insertSQL(rows(attackRow{fmt.Sprintf(" bad %d", n), 1, "default", 3, false, 0})))
			}
			calls = append(calls, insertSQL(rows(order1(6).of("acme"))), insertSQL(rows(order1(6).in(9))))
			for _, sql := range calls {
				_ = simpleErr(b.ctx, conn, sql)
			}
			require.Empty(t, asOther())
			requireAuditClean(t, b)
		})
	}
}

// The search_path is what keeps it out: with an empty one, as is often advised, types are looked for in pg_temp first.
func TestAnEmptySearchPathLetsPgTempIn(t *testing.T) {
	t.Parallel()
	b := attackStore(t)
	role := readerRole(t, b)
	execSQL(t, b.ctx, b.pool, `ALTER FUNCTION eventstream.stable_position() SET search_path = ''`)
	conn, asOther, _ := spying(t, b, role)
	trapsInPgTemp(t, b, conn)
	_ = simpleErr(b.ctx, conn, `SELECT eventstream.stable_position()`)
	require.NotEmpty(t, asOther())
}
