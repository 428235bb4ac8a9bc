package integration_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver that pgtestdb is given
	"github.com/peterldowns/pgtestdb"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/migrations"
)

// newDatabase makes an empty database for one test and gives its DSN. It is dropped when the test succeeds; then no
// connection to it may be left.
func newDatabase(t testing.TB) string {
	t.Helper()
	return pgtestdb.Custom(t, testdbConfig(t), pgtestdb.NoopMigrator{}).URL()
}

// migratedDatabase is like newDatabase, with the migrations applied: a clone of a template that all processes share.
func migratedDatabase(t testing.TB) string {
	t.Helper()
	return pgtestdb.Custom(t, testdbConfig(t), migrator{}).URL()
}

// migrator lets pgtestdb make the template with our own migrations.
type migrator struct{}

// Hash changes with every file that Up depends on, so that a server that outlives the run gets a new template.
func (migrator) Hash() (string, error) {
	const dir = "../migrations"
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return nil
	})
	return hex.EncodeToString(sum.Sum(nil))[:32], err
}

// Migrate opens a pool of its own, which is what the product's Up takes, and closes it: a template may have no sessions.
func (migrator) Migrate(ctx context.Context, _ *sql.DB, config pgtestdb.Config) error {
	pool, err := pgxpool.New(ctx, config.URL())
	if err != nil {
		return err
	}
	defer pool.Close()
	return migrations.Up(ctx, pool, nil)
}

// testdbConfig tells pgtestdb of the server. The role that owns the databases is the DSN's own superuser, since tests go
// as far as to disable triggers; it exists, so pgtestdb leaves it as it is.
func testdbConfig(t testing.TB) pgtestdb.Config {
	t.Helper()
	config, err := configFor(server.DSN(""))
	require.NoError(t, err)
	return config
}

// configFor takes the parts of a DSN, those that come from PG... variables or a password file included. pgtestdb puts them
// into a URL without escaping.
func configFor(dsn string) (pgtestdb.Config, error) {
	parsed, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return pgtestdb.Config{}, err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return pgtestdb.Config{}, err
	}
	c := parsed.ConnConfig
	options := u.Query()
	host, port := c.Host, strconv.Itoa(int(c.Port))
	switch {
	case filepath.IsAbs(host): // a Unix socket cannot stand in the host's place
		options.Set("host", host)
		options.Set("port", port)
		host, port = "", ""
	case net.ParseIP(host) != nil && strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	// Of net/url's escapes only this one leaves no character that ends a password; it writes a space as a plus.
	password := strings.ReplaceAll(url.QueryEscape(c.Password), "+", "%20")
	return pgtestdb.Config{
		DriverName: "pgx",
		Host:       host,
		Port:       port,
		User:       c.User,
		Password:   password,
		Database:   c.Database,
		Options:    options.Encode(),
		TestRole:   &pgtestdb.Role{Username: c.User, Password: password, Capabilities: "SUPERUSER"},
	}, nil
}
