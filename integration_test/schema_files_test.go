package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/schemadump"
	"github.com/gaplesspg/gapless/migrations"
)

// The committed files, which reviewers read, are what the migrations make.
func TestSchemaFilesAreCurrent(t *testing.T) {
	t.Parallel()
	pool := migrationsPool(t, newDatabase(t), nil)
	require.NoError(t, migrations.Up(context.Background(), pool, nil))
	files := schemaFiles(t, pool)
	require.NoError(t, files.Check("../docs/schema"))
	for name, text := range files {
		require.Regexp(t, `\nCREATE (OR REPLACE )?[A-Z]+ eventstream[. ;][^;]`, text+" ", name)
		if strings.HasPrefix(name, "views/") {
			require.Regexp(t, ` AS\n +(SELECT|WITH)\s`, text, name)
		}
	}
}

// Every kind of object has its file, and each property that can be set shows. The text is the same on every version of PostgreSQL.
func TestSchemaFilesShowEveryKindOfObject(t *testing.T) {
	t.Parallel()
	pool, role := schemaOfEveryKind(t)
	files := schemaFiles(t, pool)

	var got []string
	for _, name := range []string{
		"schema.sql", "types/amount.sql", "types/colour.sql", "types/point.sql", "types/span.sql", "tables/a%2Fb.sql", "tables/account.sql",
		"tables/part.sql", "tables/part_1.sql", "views/account_names.sql", "views/account_sums.sql", "sequences/account_id_seq.sql",
		"sequences/loose.sql", "functions/doubled.sql", "functions/note.sql", "functions/tidy.sql",
	} {
		require.Contains(t, files, name)
		got = append(got, "==> "+name+"\n"+strings.SplitN(files[name], "\n", 2)[1])
		delete(files, name)
	}
	require.Empty(t, files)
	require.Equal(t, readDoc(t, "integration_test/testdata/schema_objects.txt"), strings.ReplaceAll(strings.Join(got, "\n"), role, "a_role"))
}

// A change of anything changes the file of its object, and no other.
func TestSchemaFilesShowEveryChange(t *testing.T) {
	t.Parallel()
	pool, role := schemaOfEveryKind(t)
	before := schemaFiles(t, pool)
	for _, c := range [][2]string{
		{"schema.sql", `GRANT USAGE ON SCHEMA eventstream TO PUBLIC`},
		{"types/colour.sql", `REVOKE USAGE ON TYPE eventstream.colour FROM PUBLIC`},
		{"types/colour.sql", `ALTER TYPE eventstream.colour ADD VALUE 'blue' BEFORE 'red'`},
		{"types/amount.sql", `COMMENT ON CONSTRAINT amount_positive ON DOMAIN eventstream.amount IS 'Something else.'`},
		{"tables/account.sql", `ALTER TABLE eventstream.account ALTER COLUMN name SET STATISTICS 7`},
		{"tables/account.sql", `ALTER TABLE eventstream.account ALTER COLUMN note SET STORAGE MAIN`},
		{"tables/account.sql", `ALTER TABLE eventstream.account SET (toast.autovacuum_enabled = off)`},
		{"tables/account.sql", `ALTER TABLE eventstream.account DISABLE TRIGGER account_note`},
		{"tables/account.sql", `ALTER INDEX eventstream.account_pkey SET (fillfactor = 70)`},
		{"tables/account.sql", `REVOKE UPDATE (name) ON eventstream.account FROM ` + role},
		{"tables/account.sql", `COMMENT ON INDEX eventstream.account_pkey IS 'By number.'`},
		{"tables/account.sql", `ALTER TABLE eventstream.account ENABLE ROW LEVEL SECURITY`},
		{"tables/account.sql", `ALTER POLICY account_seen ON eventstream.account USING (true)`},
		{"views/account_names.sql", `ALTER VIEW eventstream.account_names SET (security_invoker = true)`},
		{"views/account_names.sql", `GRANT SELECT (name) ON eventstream.account_names TO ` + role},
		{"sequences/loose.sql", `ALTER SEQUENCE eventstream.loose INCREMENT 2`},
		{"functions/doubled.sql", `ALTER FUNCTION eventstream.doubled(integer) SET search_path = pg_catalog, pg_temp`},
		{"functions/doubled.sql", `REVOKE EXECUTE ON FUNCTION eventstream.doubled(bigint) FROM PUBLIC`},
		{"functions/tidy.sql", `CREATE OR REPLACE PROCEDURE eventstream.tidy() LANGUAGE plpgsql AS 'BEGIN PERFORM 2; END'`},
		{"views/account_names.sql", `CREATE OR REPLACE VIEW eventstream.account_names AS SELECT a.name FROM eventstream.account AS a`},
	} {
		file, change := c[0], c[1]
		schemaExec(t, pool, change)
		after := schemaFiles(t, pool)
		for name, text := range before {
			if name == file {
				require.NotEqual(t, text, after[name], change)
			} else {
				require.Equal(t, text, after[name], change)
			}
		}
		before = after
	}
}

// What has no file is an error: nothing is left out in silence.
func TestSchemaFilesRefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	for create, kind := range map[string]string{
		`CREATE AGGREGATE eventstream.total (integer) (SFUNC = int4pl, STYPE = integer)`:                                "function eventstream.total(integer)",
		`CREATE COLLATION eventstream.plain (provider = libc, locale = 'C')`:                                            "collation eventstream.plain",
		`CREATE TABLE eventstream.t (a integer); CREATE RULE r AS ON DELETE TO eventstream.t DO INSTEAD NOTHING`:        "rule r on table eventstream.t",
		`CREATE TABLE eventstream.t (a integer, b integer); CREATE STATISTICS eventstream.s ON a, b FROM eventstream.t`: "statistics object eventstream.s",
		`CREATE OPERATOR eventstream.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = pg_catalog.int4pl)`:         "operator eventstream.===(integer,integer)",
	} {
		pool := migrationsPool(t, newDatabase(t), nil)
		schemaExec(t, pool, `CREATE SCHEMA eventstream`)
		schemaExec(t, pool, create)
		_, err := schemadump.Read(context.Background(), pool)
		require.ErrorContains(t, err, kind)
	}
}

// schemaOfEveryKind is a database with an object of every kind, and a role that may do something with some of them.
func schemaOfEveryKind(t *testing.T) (*pgxpool.Pool, string) {
	t.Helper()
	_, err := testDatabases.template() // whose migrations make the roles that newRole grants
	require.NoError(t, err)
	b := bundleOn(t, newDatabase(t))
	role := newRole(t, b)
	schemaExec(t, b.pool, strings.ReplaceAll(readDoc(t, "integration_test/testdata/schema_objects.sql"), "a_role", role))
	return b.pool, role
}

func schemaFiles(t *testing.T, pool *pgxpool.Pool) schemadump.Files {
	t.Helper()
	files, err := schemadump.Read(context.Background(), pool)
	require.NoError(t, err)
	return files
}

func schemaExec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql)
	require.NoError(t, err, sql)
}
