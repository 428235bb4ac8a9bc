package integration_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	// testTimeout bounds one test's work with the database, so that a deadlock fails that test and not the whole run. Subtests that run in
	// parallel may wait for their turn for as long as the suite takes: each sets up a bundle of its own.
	testTimeout = 15 * time.Minute

	// defaultMaxConns is small: a test that needs more says so.
	defaultMaxConns = 8

	// closeTimeout is how long a pool may wait for connections that a test did not give back: longer than the 15 seconds that pgx gives one
	// whose request to cancel came before its statement, on a busy server.
	closeTimeout = 30 * time.Second
)

// bundle is what a test works with: a migrated database of its own, and what connects to it as a superuser.
type bundle struct {
	ctx  context.Context
	dsn  string
	pool *pgxpool.Pool
	repo *eventstream.Repository
}

// bundleOption changes the pool of a bundle.
type bundleOption func(*pgxpool.Config)

// withMaxConns gives a test more connections than the default of 8, or fewer.
func withMaxConns(n int32) bundleOption {
	return func(c *pgxpool.Config) { c.MaxConns = n }
}

// withQueryMode runs a test's queries in one of pgx's modes.
func withQueryMode(mode pgx.QueryExecMode) bundleOption {
	return func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }
}

// setup gives a test its bundle. Everything in it is closed when the test ends; the database is then dropped, unless the
// test failed.
func setup(t testing.TB, options ...bundleOption) *bundle {
	t.Helper()
	return bundleOn(t, migratedDatabase(t), options...)
}

// bundleOn is a bundle on a database that is there already.
func bundleOn(t testing.TB, dsn string, options ...bundleOption) *bundle {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	pool := newPool(t, dsn, options...)
	return &bundle{ctx: ctx, dsn: dsn, pool: pool, repo: repoOn(t, pool)}
}

// newPool opens a pool on which an unqualified name finds nothing.
func newPool(t testing.TB, dsn string, options ...bundleOption) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	config.MaxConns = defaultMaxConns
	prepareConfig(t, config.ConnConfig)
	for _, option := range options {
		option(config)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// closePool waits for a bounded time: pgxpool itself waits for ever for a connection that was not given back.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTimeout):
		t.Errorf("the test did not give back %d connections of its pool", pool.Stat().AcquiredConns())
	}
}

// prepareConfig is common to all connections of tests.
func prepareConfig(t testing.TB, config *pgx.ConnConfig) {
	config.RuntimeParams["search_path"] = ""
	config.RuntimeParams["application_name"] = t.Name()
}

// session gives a connection of its own, for tests that interleave several by hand. Its backend is conn.PgConn().PID().
func session(t testing.TB, b *bundle) *pgx.Conn {
	t.Helper()
	return connect(t, b.dsn, "")
}

// connect opens a connection for a user; an empty name means the superuser of the DSN. Another user need not be allowed to
// log in, and needs no password: the superuser's session takes the user's place. (RESET SESSION AUTHORIZATION would undo
// that; rules are tested by what an honest session may do.)
func connect(t testing.TB, dsn, user string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	prepareConfig(t, config)
	conn, err := pgx.ConnectConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if user != "" {
		_, err := conn.Exec(context.Background(), "SET SESSION AUTHORIZATION "+pgx.Identifier{user}.Sanitize())
		require.NoError(t, err)
	}
	return conn
}

// newRole makes a role that is for all tenants and may do nothing yet, under a name of its own: roles belong to the whole server. It is dropped
// with all it was given in this database.
func newRole(t testing.TB, b *bundle) string {
	t.Helper()
	role := plainRole(t, b)
	_, err := b.pool.Exec(b.ctx, "GRANT eventstream_all_tenants TO "+role)
	require.NoError(t, err)
	return role
}

// plainRole makes a role that is nothing and may do nothing.
func plainRole(t testing.TB, b *bundle) string {
	t.Helper()
	role := "gapless_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err := b.pool.Exec(b.ctx, "CREATE ROLE "+role)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := b.pool.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role)
		require.NoError(t, err)
	})
	return role
}
