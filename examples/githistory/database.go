package main

import (
	"net/url"
	"os"
	"strings"

	"github.com/gaplesspg/gapless/internal/exampledb"
)

const (
	// envTestDSN is the variable by which pgserver is told of a server.
	envTestDSN = "GAPLESS_TEST_DSN"
	// databaseName is created where no database is given.
	databaseName = "gapless_demo"
)

// isSecret says that the password in a database's DSN is the user's, and not to be shown.
func isSecret(d *exampledb.Database) bool { return d.Given || os.Getenv(envTestDSN) != "" }

// psql is the command that opens a database. A password of the user's is left out; psql then asks for it.
func psql(dsn string, secret bool) string {
	if secret {
		u, err := url.Parse(dsn)
		if err != nil || u.User == nil {
			return `psql "$` + exampledb.EnvDSN + `"`
		}
		u.User = url.User(u.User.Username())
		query := u.Query()
		query.Del("password")
		u.RawQuery = query.Encode()
		dsn = u.String()
	}
	return "psql '" + strings.ReplaceAll(dsn, "'", `'\''`) + "'"
}
