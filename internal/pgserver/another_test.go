package pgserver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// execute runs a statement in a database.
func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// another starts a server besides one that a test has.
func another(t *testing.T, server *Server) *Server {
	t.Helper()
	other, err := server.StartAnother(t.Context(), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Stop()) })
	return other
}

func TestReplica(t *testing.T) {
	t.Parallel()
	for _, way := range []string{sourceContainer, sourceBinaries} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			primary := start(t, way, Options{Settings: map[string]string{"work_mem": "5MB"}})
			execute(t, primary.DSN(""), "CREATE TABLE t AS SELECT 1 AS n")
			replica, err := primary.StartReplica(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, replica.Stop()) })
			require.Equal(t, primary.Origin, replica.Origin)
			require.NotEqual(t, primary.DSN(""), replica.DSN(""))
			require.Equal(t, "5MB", query(t, replica.DSN(""), "SHOW work_mem"))
			require.Equal(t, "on", query(t, replica.DSN(""), "SHOW transaction_read_only"))

			execute(t, primary.DSN(""), "INSERT INTO t VALUES (2)")
			require.Eventually(t, func() bool { return query(t, replica.DSN(""), "SELECT count(*)::text FROM t") == "2" },
				20*time.Second, 10*time.Millisecond, "what is written after the copy must arrive")

			require.ErrorContains(t, primary.Promote(t.Context()), "recovery is not in progress")
			require.NoError(t, primary.Stop())
			require.NoError(t, replica.Promote(t.Context()))
			execute(t, replica.DSN(""), "INSERT INTO t VALUES (3)")

			// A second generation, with the password and the settings of the first.
			second, err := replica.StartReplica(t.Context())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, second.Stop()) })
			require.Equal(t, "3", query(t, second.DSN(""), "SELECT count(*)::text FROM t"))
		})
	}
}

func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	for _, way := range []string{sourceContainer, sourceBinaries} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			from := start(t, way, Options{})
			to := another(t, from)
			require.Equal(t, from.Origin, to.Origin)
			require.NotEqual(t, from.DSN(""), to.DSN(""))

			// Enough that no pipe or socket holds all of it, and text that a shell or a wrong encoding would change.
			execute(t, from.DSN(""), `CREATE TABLE t AS SELECT n, repeat('$ä"''\', 50) AS text FROM generate_series(1, 20000) n`)
			dump, err := from.Dump(t.Context(), "postgres")
			require.NoError(t, err)
			require.Greater(t, len(dump), 1<<20)
			require.NoError(t, to.Restore(t.Context(), "postgres", dump))
			const sum = `SELECT md5(string_agg(t::text, ',' ORDER BY n)) FROM t`
			require.Equal(t, query(t, from.DSN(""), sum), query(t, to.DSN(""), sum))

			_, err = from.Dump(t.Context(), "absent")
			require.ErrorContains(t, err, `pg_dump: exit status 1`)
			require.ErrorContains(t, err, `database "absent" does not exist`)
			err = to.Restore(t.Context(), "postgres", []byte("CREATE TABLE u ();\nSELECT 1/0;\nCREATE TABLE v ();\n"))
			require.ErrorContains(t, err, "psql: exit status 3")
			require.ErrorContains(t, err, "division by zero")
			require.Equal(t, "t|f", query(t, to.DSN(""),
				`SELECT concat_ws('|', to_regclass('u') IS NOT NULL, to_regclass('v') IS NOT NULL)`), "it stops at the error")
		})
	}
}

// A server that the user named can be connected to; another one comes from where there would be one without the name.
func TestAnotherThanTheNamedOne(t *testing.T) {
	t.Parallel()
	owner := start(t, sourceBinaries, Options{})
	env := environment{dsn: owner.DSN(""), source: sourceDSN}
	named, err := startFirst(t.Context(), forced(t, sourceDSN), request{env: env})
	require.NoError(t, err)

	_, err = named.StartReplica(t.Context())
	require.ErrorIs(t, err, ErrNotOurs)
	_, err = named.Dump(t.Context(), "postgres")
	require.ErrorIs(t, err, ErrNotOurs)
	require.ErrorIs(t, named.Restore(t.Context(), "postgres", nil), ErrNotOurs)

	other := another(t, named)
	require.NotContains(t, other.Origin, envDSN)
	require.NotEqual(t, owner.DSN(""), other.DSN(""))
	_, err = other.Dump(t.Context(), "postgres")
	require.NoError(t, err)

	named.env.bindir = t.TempDir()
	_, err = named.StartAnother(t.Context(), Options{})
	require.ErrorIs(t, err, ErrNoOther)
	require.ErrorContains(t, err, envBindir)
}

// The failure of the way that gave the first server is no reason to do without the second.
func TestAnotherFails(t *testing.T) {
	t.Parallel()
	server := &Server{way: sourceBinaries, env: environment{bindir: t.TempDir()}}
	_, err := server.StartAnother(t.Context(), Options{})
	var failed *StartError
	require.ErrorAs(t, err, &failed)
	require.False(t, errors.Is(err, ErrNoOther))
}

// Arguments can be read by whoever lists processes.
func TestClientEnvHoldsThePassword(t *testing.T) {
	t.Parallel()
	env := clientEnv(localURL("127.0.0.1:5999", "p@ss"))
	require.Equal(t, map[string]string{
		"PGHOST": "127.0.0.1", "PGPORT": "5999", "PGUSER": "postgres", "PGPASSWORD": "p@ss",
	}, env)
	require.Contains(t, assignments(env), "PGPASSWORD=p@ss")
}

func TestTail(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a\nb", tail("a\nb\n"))
	require.Equal(t, strings.Repeat("x\n", 9)+"x", tail(strings.Repeat("x\n", 100)))
}
