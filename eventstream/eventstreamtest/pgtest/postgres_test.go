package pgtest_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest/pgtest"
)

// Each test has a store of its own, though they have the same streams and run at the same time.
func TestPostgresIsATestsOwn(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			repo, err := eventstream.NewRepository(pgtest.Postgres(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			e, err := eventstream.NewEvent("order.placed", 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repo.Append(t.Context(), "order-1", eventstream.Empty, e); err != nil {
				t.Fatal(err)
			}
			var store eventstream.Store = repo
			_ = eventstreamtest.Given(t, nil, "order-1", e)
			head, err := store.Stream(t.Context(), "order-1")
			if err != nil || head.CurrentVersion != 1 {
				t.Fatalf("head %+v, error %v", head, err)
			}
		})
	}
}

func TestPostgresIsDroppedAfterTheTest(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("uses it", func(t *testing.T) { dsn = pgtest.Postgres(t).Config().ConnString() })
	conn, err := pgx.Connect(t.Context(), dsn)
	if err == nil {
		conn.Close(t.Context())
		t.Fatal("the database is still there")
	}
	if !strings.Contains(err.Error(), "3D000") {
		t.Fatalf("error %v, want that there is no such database", err)
	}
}

// On a server of the user's nothing stays behind but the database of a test that failed. No test beside it: it counts databases.
func TestPostgresOnAServerOfTheUsers(t *testing.T) {
	pool := pgtest.Postgres(t)
	databases := func() (names []string) {
		rows, err := pool.Query(t.Context(), "SELECT datname::text FROM pg_database WHERE datname LIKE 'gapless_test_%' ORDER BY 1")
		if err == nil {
			names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	env := []string{"GAPLESS_TEST_DSN=" + pool.Config().ConnString(), "GAPLESS_TEST_SOURCE=dsn"}
	before := databases()
	if out, err := child(t, "TestPostgresIsATestsOwn|TestPostgresIsDroppedAfterTheTest", env...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if after := databases(); !slices.Equal(before, after) {
		t.Fatalf("databases before %v, after %v", before, after)
	}
	out, err := child(t, "TestFailsOnPurpose", append(env, "PGTEST_FAIL=1")...)
	if err == nil || !strings.Contains(out, "the database of this test stays: postgres") {
		t.Fatalf("error %v\n%s", err, out)
	}
	if after := databases(); len(after) != len(before)+1 {
		t.Fatalf("databases before %v, after a failure %v", before, after)
	}
}

// TestFailsOnPurpose is a program that another test starts.
func TestFailsOnPurpose(t *testing.T) {
	if os.Getenv("PGTEST_FAIL") == "" {
		t.Skip("another test starts it")
	}
	pgtest.Postgres(t)
	t.Fail()
}

// Where there is no server, the test says what to do.
func TestPostgresSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	out, err := child(t, "TestPostgresIsATestsOwn", "GAPLESS_TEST_DSN=", "GAPLESS_TEST_SOURCE=binaries", "GAPLESS_TEST_BINDIR="+t.TempDir())
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("error %v, want a test that fails\n%s", err, out)
	}
	if !strings.Contains(out, "install PostgreSQL 15 or newer") || !strings.Contains(out, "GAPLESS_TEST_DSN") {
		t.Fatalf("it says\n%s", out)
	}
}

// child runs tests of this package in a process of their own.
func child(t *testing.T, tests string, env ...string) (string, error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^("+tests+")$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
