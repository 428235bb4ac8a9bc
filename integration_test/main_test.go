// Package integration_test proves the promises of Gapless against a real PostgreSQL. Files are named by promise.
//
// One server serves all tests (see internal/pgserver for where it comes from), one database on it is migrated, and each
// test works on a clone of its own, so all of them run in parallel. A test that fails leaves its database, and its log
// says the URL; on a server that ends with the run, set GAPLESS_TEST_DSN to one that stays. Tests about a standby, or about
// another cluster, start servers of their own (harness_standby_test.go).
package integration_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

// server is the one of this run, and testDatabases are those of its tests; TestMain sets both before any test starts.
var (
	server        *pgserver.Server
	testDatabases *databases
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// notTests are programs that tests start, which find what they need in the environment; the one that is started is named by -test.run.
const notTests = "^(TestMigrationsChild|TestSubscriptionChild|TestTimersChild|TestProcessChild)$"

func run(m *testing.M) int {
	if os.Getenv(childDSN) == "" && os.Getenv("GAPLESS_TEST_MIGRATE") == "" {
		if err := skipAlso(notTests); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if err := startServer(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "PostgreSQL:", server.Origin)
	code := m.Run()
	// Leaks are looked for after a success only: a failed test is the better story, and may well be their reason.
	err := errors.Join(testDatabases.close(), server.Stop())
	if code == 0 {
		err = errors.Join(err, goleak.Find())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// skipAlso adds to what -skip names: neither run nor counted as skipped.
func skipAlso(pattern string) error {
	flag.Parse()
	if given := flag.Lookup("test.skip").Value.String(); given != "" {
		pattern = given + "|" + pattern
	}
	return flag.Set("test.skip", pattern)
}

// startServer also tells programs that tests start, among them this one, to use the same server.
func startServer() (err error) {
	server, err = pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr, NeedSuperuser: true})
	if err != nil {
		return err
	}
	testDatabases, err = openDatabases(server)
	return errors.Join(err,
		os.Setenv("GAPLESS_TEST_DSN", server.DSN("")),
		os.Setenv("GAPLESS_TEST_SOURCE", "dsn"))
}
