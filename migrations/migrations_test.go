package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"
)

// What runs against a database is in integration_test/migrations_test.go.

func TestEmbeddedFilesAreNumberedWithoutAGapAndGoBothWays(t *testing.T) {
	t.Parallel()
	sources, err := list(files)
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for i, s := range sources {
		require.Equal(t, int64(i+1), s.version, s.name)
		text, err := fs.ReadFile(files, s.name)
		require.NoError(t, err)
		up, down, found := strings.Cut(string(text), "\n-- +goose Down\n")
		require.True(t, found, "%s: Up first, Down after it: sqlc cuts the file there", s.name)
		require.True(t, strings.HasPrefix(up, "-- +goose Up\n-- "), "%s: a head comment says why", s.name)
		require.NotEmpty(t, strings.TrimSpace(down), s.name)
		require.NotContains(t, string(text), "NO TRANSACTION", "%s: a failure must leave nothing behind", s.name)
	}
	require.Equal(t, int64(len(sources)), Latest())
}

// A file that a comment sends to is there, under that number.
func TestFilesThatCommentsNameExist(t *testing.T) {
	t.Parallel()
	sources, err := list(files)
	require.NoError(t, err)
	named := regexp.MustCompile(`\d{5}_\w+\.sql`)
	found := 0
	for _, s := range sources {
		text, err := fs.ReadFile(files, s.name)
		require.NoError(t, err)
		for _, name := range named.FindAllString(string(text), -1) {
			found++
			_, err := fs.Stat(files, name)
			require.NoError(t, err, "in %s", s.name)
		}
	}
	require.NotZero(t, found)
}

// Who looks for a rule reads one file of one subject, and a function of which the whole is in view.
func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	sources, err := list(files)
	require.NoError(t, err)
	function := regexp.MustCompile(`(?ms)^CREATE FUNCTION (\S+)\(.*?^(\$\$;|RETURN [^;]*;)$`)
	functions := 0
	for _, s := range sources {
		text, err := fs.ReadFile(files, s.name)
		require.NoError(t, err)
		require.LessOrEqual(t, strings.Count(string(text), "\n"), 400, "lines of %s", s.name)
		for _, f := range function.FindAllStringSubmatch(string(text), -1) {
			functions++
			require.LessOrEqual(t, strings.Count(f[0], "\n")+1, 100, "lines of %s in %s", f[1], s.name)
		}
	}
	require.Greater(t, functions, 200, "the functions are found")
}

func TestListOrdersByVersionAndRefusesWhatHasNone(t *testing.T) {
	t.Parallel()
	sources, err := list(fstest.MapFS{"10_b.sql": {}, "9_a.sql": {}, "notes.txt": {}})
	require.NoError(t, err)
	require.Equal(t, []source{{9, "9_a.sql"}, {10, "10_b.sql"}}, sources)

	_, err = list(fstest.MapFS{"notes.sql": {}})
	require.ErrorContains(t, err, "notes.sql")

	sources, err = list(fstest.MapFS{})
	require.NoError(t, err)
	require.Zero(t, latest(sources))
}

func TestOptionsDefaultsAndBounds(t *testing.T) {
	t.Parallel()
	for _, opts := range []*Options{nil, {}, {PartitionCount: 1}, {PartitionCount: 32768}} {
		o, err := opts.withDefaults()
		require.NoError(t, err)
		require.NotNil(t, o.Logger)
	}
	for _, count := range []int{-1, 32769} {
		_, err := (&Options{PartitionCount: count}).withDefaults()
		require.ErrorContains(t, err, "must be 1 to 32768, or 0 for the default")
	}
}

func TestStatusMergesWhatIsKnownAndWhatIsThere(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	known := []source{{1, "1_a.sql"}, {2, "2_b.sql"}, {4, "4_d.sql"}}
	st := state{version: 5, applied: []applied{{1, at}, {3, at}, {5, at}}}
	require.Equal(t, []MigrationStatus{
		{Version: 1, Name: "1_a.sql", Applied: true, AppliedAt: at},
		{Version: 2, Name: "2_b.sql"},
		{Version: 3, Applied: true, AppliedAt: at},
		{Version: 4, Name: "4_d.sql"},
		{Version: 5, Applied: true, AppliedAt: at},
	}, st.status(known))
	require.False(t, st.complete(known))
	require.Error(t, st.check(known, Options{}))

	st = state{version: 4, applied: []applied{{1, at}, {2, at}, {4, at}}, partitionCount: 32}
	require.True(t, st.complete(known))
	require.NoError(t, st.check(known, Options{}))
	require.NoError(t, st.check(known, Options{PartitionCount: 32}))
	require.Error(t, st.check(known, Options{PartitionCount: 33}))
}

func TestNewerDatabasesAreUsedByTheCodeThatTheySay(t *testing.T) {
	t.Parallel()
	known := []source{{1, "1_a.sql"}, {2, "2_b.sql"}}
	all := []applied{{version: 1}, {version: 2}, {version: 3}}
	for name, c := range map[string]struct {
		is     state
		usable bool
	}{
		"does not say":                {state{version: 3, applied: all}, false},
		"for this code":               {state{version: 3, applied: all, usableFrom: 2}, true},
		"for older code too":          {state{version: 3, applied: all, usableFrom: 1}, true},
		"for newer code":              {state{version: 3, applied: all, usableFrom: 3}, false},
		"lacks what this code brings": {state{version: 3, applied: []applied{{version: 1}, {version: 3}}, usableFrom: 2}, false},
	} {
		err := c.is.check(known, Options{})
		if c.usable {
			require.NoError(t, err, name)
		} else {
			require.Equal(t, &DatabaseNewerError{Database: 3, Code: 2, UsableFrom: c.is.usableFrom}, err, name)
		}
		require.Error(t, c.is.checkDown(known), name)
		c.is.partitionCount = 32
		require.Error(t, c.is.check(known, Options{PartitionCount: 33}), "options are held against it all the same: %s", name)
	}
}

// A release is a schema and the code for it, so its last migration says which code can use it.
func TestTheLastMigrationDeclaresItsVersion(t *testing.T) {
	t.Parallel()
	sources, err := list(files)
	require.NoError(t, err)
	last := sources[len(sources)-1]
	text, err := fs.ReadFile(files, last.name)
	require.NoError(t, err)
	up, down, _ := strings.Cut(string(text), "\n-- +goose Down\n")
	require.Contains(t, up, fmt.Sprintf("SELECT eventstream.declare_version(%d, ", last.version), last.name)
	require.Contains(t, up, "SELECT eventstream.record_schema();", last.name)
	require.True(t, strings.HasPrefix(down, "SELECT eventstream.refuse_to_drop_events();\n"), last.name)
	require.Contains(t, down, fmt.Sprintf("DELETE FROM eventstream.schema_versions WHERE version = %d;", last.version), last.name)
}

func TestErrorsSayBothValuesAndWhatToDo(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &DatabaseNewerError{Database: 12, Code: 10},
		"migrations: the database is at version 12, and this release of Gapless knows versions up to 10: "+
			"deploy the newer release, or go back with DownTo(10) of the newer one")
	require.EqualError(t, &DatabaseNewerError{Database: 12, Code: 10, UsableFrom: 11},
		"migrations: the database is at version 12, for releases that know version 11 or above, and this release of Gapless knows "+
			"versions up to 10: deploy the newer release, or go back with DownTo(10) of the newer one")
	require.EqualError(t, &StoreMismatchError{Installed: 32, Requested: 64},
		"migrations: the store was installed with 32 partitions, and Options.PartitionCount asks for 64: "+
			"leave it 0 to take the store as it is, or copy the events into a new store")
}

func TestDescribeSaysWhereTheDatabaseStands(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	result := func(version int64, direction string) *goose.MigrationResult {
		return &goose.MigrationResult{
			Source: &goose.Source{Version: version, Path: "0000X_x.sql"}, Direction: direction,
		}
	}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{cause, "migrations: cause"},
		{&goose.PartialError{Failed: result(3, "up"), Err: cause}, "migrations: 0000X_x.sql up failed, the database is at version 2: cause"},
		{
			&goose.PartialError{Applied: []*goose.MigrationResult{result(3, "up"), result(4, "up")}, Failed: result(5, "up"), Err: cause},
			"migrations: 0000X_x.sql up failed, the database is at version 4: cause",
		},
		{
			&goose.PartialError{Applied: []*goose.MigrationResult{result(5, "down")}, Failed: result(4, "down"), Err: cause},
			"migrations: 0000X_x.sql down failed, the database is at version 4: cause",
		},
	} {
		err := describe(tc.err, 2)
		require.EqualError(t, err, tc.want)
		require.ErrorIs(t, err, cause)
	}
}

func TestNilAndUnreachableDatabases(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, err := range []error{
		Up(ctx, (*pgxpool.Pool)(nil), nil),
		Down(ctx, (*pgx.Conn)(nil), nil),
		DownTo(ctx, (*pgx.Conn)(nil), 0, nil),
		second(Status(ctx, (*pgxpool.Pool)(nil))),
		second(Version(ctx, (*pgx.Conn)(nil))),
	} {
		require.EqualError(t, err, "migrations: the pool or connection is nil")
	}

	pool, err := pgxpool.New(ctx, "host=127.0.0.1 port=1 dbname=none connect_timeout=2")
	require.NoError(t, err)
	defer pool.Close()
	require.ErrorContains(t, Up(ctx, pool, nil), "migrations: ")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, Up(ended, pool, nil), context.Canceled)
}

func second[T any](_ T, err error) error { return err }
