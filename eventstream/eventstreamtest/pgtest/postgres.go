package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

const (
	// patience bounds what is done with the server for one test, beside the test itself.
	patience = 2 * time.Minute
	// envDSN names a server of the user's, which outlives the process.
	envDSN = "GAPLESS_TEST_DSN"
)

// shared is the server of the process. It is never stopped by a test, since the next one may be about to begin: pgserver removes it when the
// process has ended.
var shared = sync.OnceValues(start)

// server is a running server, and how databases are made on it.
type server struct {
	*pgserver.Server
	// template is the name of a migrated database to copy; empty where each database is migrated, as on a server of the user's, on which
	// nothing is to stay behind.
	template string
}

// Postgres returns a pool on a migrated database of the test's own, closed and dropped when the test ends. Of a test that fails on a server of
// the user's (GAPLESS_TEST_DSN), the database stays, and the log has its URL. Tests may run in parallel. The URL of the database is
// pool.Config().ConnString().
func Postgres(t testing.TB) *pgxpool.Pool {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := newName()
	if err := s.create(ctx, name); err != nil {
		t.Fatalf("cannot make a database for the test: %v", err)
	}
	t.Cleanup(func() { s.drop(t, name) })
	pool, err := pgxpool.New(ctx, s.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func start() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	running, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	s := &server{Server: running}
	if os.Getenv(envDSN) != "" {
		return s, nil
	}
	template := newName()
	if err := s.create(ctx, template); err != nil {
		return nil, err
	}
	s.template = template
	return s, nil
}

// create makes a migrated database.
func (s *server) create(ctx context.Context, name string) error {
	if s.template != "" {
		return s.exec(ctx, fmt.Sprintf("CREATE DATABASE %s STRATEGY FILE_COPY TEMPLATE %s", name, s.template))
	}
	// UTF8 whatever the server's default, which Gapless needs.
	if err := s.exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'", name)); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.DSN(name))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return migrations.Up(ctx, conn, nil)
}

// drop removes the database of a test, unless somebody may want to look at it.
func (s *server) drop(t testing.TB, name string) {
	if t.Failed() && s.template == "" {
		t.Logf("the database of this test stays: %s", s.DSN(name))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		t.Errorf("cannot drop the database of the test: %v", err)
	}
}

func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.DSN(""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// newName is a name that needs no quotes.
func newName() string { return "gapless_test_" + strings.ToLower(rand.Text()) }
