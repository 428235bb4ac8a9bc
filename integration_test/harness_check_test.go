package integration_test

import (
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/peterldowns/pgtestdb"
	"github.com/stretchr/testify/require"
)

// The harness itself: what the other tests take for granted.
func TestHarnessBundle(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(3))
	require.Equal(t, int32(3), b.pool.Config().MaxConns)
	requireAuditClean(t, b)

	var path, name, superuser string
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT current_setting('search_path'), current_setting('application_name'),
		current_setting('is_superuser')`).Scan(&path, &name, &superuser))
	require.Equal(t, []string{"", t.Name(), "on"}, []string{path, name, superuser})

	_, err := b.pool.Exec(b.ctx, `SELECT 1 FROM events`)
	requireSQLState(t, err, "42P01")

	other := setup(t)
	_, err = b.pool.Exec(b.ctx, `CREATE TABLE public.only_here ()`)
	require.NoError(t, err)
	_, err = other.pool.Exec(b.ctx, `SELECT FROM public.only_here`)
	requireSQLState(t, err, "42P01")
}

func TestHarnessEmptyDatabase(t *testing.T) {
	t.Parallel()
	conn := connect(t, newDatabase(t), "")
	var schema *string
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT to_regnamespace('eventstream')::text`).Scan(&schema))
	require.Nil(t, schema)
}

func TestHarnessRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role := newRole(t, b)
	conn := connect(t, b.dsn, role)
	var user string
	require.NoError(t, conn.QueryRow(b.ctx, `SELECT session_user`).Scan(&user))
	require.Equal(t, role, user)
	_, err := conn.Exec(b.ctx, `CREATE TABLE public.x ()`)
	requireSQLState(t, err, "42501")
}

// Two sessions: one takes a lock, the other waits for it until the first lets go.
func TestHarnessWaitBlocked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	holder, waiter := session(t, b), session(t, b)
	_, err := holder.Exec(b.ctx, `SELECT pg_advisory_lock(1)`)
	require.NoError(t, err)

	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(b.ctx, `SELECT pg_advisory_lock(1)`)
		done <- err
	}()
	waitBlocked(t, b, waiter.PgConn().PID(), holder.PgConn().PID())
	_, err = holder.Exec(b.ctx, `SELECT pg_advisory_unlock(1)`)
	require.NoError(t, err)
	require.NoError(t, <-done)
}

func TestHarnessConfigFor(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:p%40%2Fs%3A%2B%20s@h:1234/d?sslmode=disable",
		"postgres://u:p@[::1]:1234/d?sslmode=disable",
		"postgres://u:p@/d?host=%2Frun%2Fsocket&port=1234&sslmode=disable",
	} {
		want, err := pgconn.ParseConfig(dsn)
		require.NoError(t, err)
		config, err := configFor(dsn)
		require.NoError(t, err)
		got, err := pgconn.ParseConfig(config.URL())
		require.NoError(t, err)
		require.Equal(t, []any{want.Host, want.Port, want.User, want.Password, want.Database},
			[]any{got.Host, got.Port, got.User, got.Password, got.Database}, dsn)
		u, err := url.Parse(config.URL())
		require.NoError(t, err)
		require.Equal(t, "disable", u.Query().Get("sslmode"))
	}
}

// The template follows the migrations: a server that outlives a run must not serve yesterday's schema.
func TestHarnessTemplateHash(t *testing.T) {
	t.Parallel()
	var m pgtestdb.Migrator = migrator{}
	first, err := m.Hash()
	require.NoError(t, err)
	second, err := m.Hash()
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Len(t, first, 32)
	require.Equal(t, server.DSN(""), os.Getenv("GAPLESS_TEST_DSN"), "child processes use this server")
}
