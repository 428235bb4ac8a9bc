package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// dropTogether is how many databases are dropped at a time. Each DROP DATABASE waits for a checkpoint of the whole server, and those that
// ask for one at the same time share it.
const dropTogether = 16

// databases makes the databases of tests on the server of this run, and drops them; TestMain opens and closes it.
type databases struct {
	pool *pgxpool.Pool // on the maintenance database
	// template makes the migrated database, at its first use, that others are copies of, and gives its name, which is noted in made.
	template func() (string, error)
	made     string
	// unused has the databases of tests that have ended, and end the error of dropping them.
	unused chan string
	end    chan error
}

func openDatabases(server *pgserver.Server) (*databases, error) {
	config, err := pgxpool.ParseConfig(server.DSN(""))
	if err != nil {
		return nil, err
	}
	config.MaxConns = dropTogether + 4 // tests do not wait for what is dropped
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, err
	}
	d := &databases{pool: pool, unused: make(chan string, dropTogether), end: make(chan error, 1)}
	d.template = sync.OnceValues(func() (string, error) { return d.migrate(server) })
	go d.dropUnused()
	return d, nil
}

// close drops what is left, also the template.
func (d *databases) close() error {
	if d.made != "" {
		d.unused <- d.made
	}
	close(d.unused)
	defer d.pool.Close()
	return <-d.end
}

func (d *databases) migrate(server *pgserver.Server) (string, error) {
	name := newDatabaseName()
	if _, err := d.pool.Exec(context.Background(), "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	d.made = name
	pool, err := pgxpool.New(context.Background(), server.DSN(name))
	if err != nil {
		return "", err
	}
	defer pool.Close() // a template may have no sessions
	return name, migrations.Up(context.Background(), pool, nil)
}

// dropUnused drops databases until no more come. One that somebody is still connected to is an error of the run.
func (d *databases) dropUnused() {
	var errs []error
	var names []string
	for name := range d.unused {
		if names = append(names, name); len(names) == dropTogether {
			errs = append(errs, d.drop(names))
			names = nil
		}
	}
	d.end <- errors.Join(append(errs, d.drop(names))...)
}

func (d *databases) drop(names []string) error {
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			if _, err := d.pool.Exec(context.Background(), "DROP DATABASE "+name); err != nil {
				errs[i] = fmt.Errorf("dropping the database of a test: %w; connected to it: %s", err, d.sessions(name))
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// sessions lists the sessions of a database; an application has the name of its test.
func (d *databases) sessions(name string) (list string) {
	err := d.pool.QueryRow(context.Background(), `SELECT coalesce(string_agg(
			concat_ws(', ', application_name, backend_type, state, wait_event, age(clock_timestamp(), state_change)::text, query), E'\n'), 'nobody now')
		FROM pg_stat_activity WHERE datname = $1`, name).Scan(&list)
	if err != nil {
		return err.Error()
	}
	return list
}

// newDatabase makes an empty database for one test and gives its DSN. It is dropped when the test has succeeded; then no
// connection to it may be left.
func newDatabase(t testing.TB) string {
	t.Helper()
	return makeDatabase(t, "")
}

// migratedDatabase is like newDatabase, with the migrations applied: a copy of a template that all tests share.
func migratedDatabase(t testing.TB) string {
	t.Helper()
	template, err := testDatabases.template()
	require.NoError(t, err)
	// Copying files costs less than what is copied through the server's buffers and its log.
	return makeDatabase(t, " TEMPLATE "+template+" STRATEGY FILE_COPY")
}

func makeDatabase(t testing.TB, like string) string {
	t.Helper()
	name := newDatabaseName()
	_, err := testDatabases.pool.Exec(context.Background(), "CREATE DATABASE "+name+like)
	require.NoError(t, err)
	dsn := server.DSN(name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the database of this test stays as long as its server: %s", dsn)
			return
		}
		testDatabases.unused <- name
	})
	return dsn
}

// newDatabaseName is a name that needs no quotes.
func newDatabaseName() string { return "gapless_" + strings.ReplaceAll(uuid.NewString(), "-", "") }
