package integration_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
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

// Programs that tests start use the server of this run.
func TestHarnessServer(t *testing.T) {
	t.Parallel()
	require.Equal(t, server.DSN(""), os.Getenv("GAPLESS_TEST_DSN"))
}

// Databases are dropped, the template too; one that somebody is still connected to is an error of the run.
func TestHarnessDropsDatabases(t *testing.T) {
	t.Parallel()
	d, err := openDatabases(server)
	require.NoError(t, err)
	template, err := d.template()
	require.NoError(t, err)
	left := []string{template}
	for range dropTogether + 1 {
		name := newDatabaseName()
		_, err := d.pool.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template)
		require.NoError(t, err)
		left = append(left, name)
		d.unused <- name
	}
	there := func() int64 {
		return number(t, t.Context(), connect(t, server.DSN(""), ""), `SELECT count(*) FROM pg_database WHERE datname = ANY ($1)`, left)
	}
	require.NoError(t, d.close())
	require.Zero(t, there())

	d, err = openDatabases(server)
	require.NoError(t, err)
	busy := newDatabase(t)
	config, err := pgx.ParseConfig(busy)
	require.NoError(t, err)
	conn := connect(t, busy, "")
	d.unused <- config.Database
	err = d.close()
	require.ErrorContains(t, err, "is being accessed by other users")
	require.ErrorContains(t, err, "connected to it: "+t.Name())
	require.NoError(t, conn.Close(t.Context()))
}
