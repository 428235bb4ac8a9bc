package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program as a user does: a file of testdata/script for each command, with good and bad input. The scripts of a database of
// their own: DATABASE_URL is a migrated one, EMPTY_URL one without a schema, READER_URL the first for a role that may only read, NOBODY_URL for one that
// may do nothing, and AWAY_URL a server that is not there.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), Setup: setupScript, RequireExplicitExec: true, RequireUniqueNames: true,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sql": scriptSQL, "golden": scriptGolden, "same": scriptSame, "exitcode": scriptExitCode,
			"big": scriptBig, "truncate": scriptTruncate, "samestore": scriptSameStore, "hold": scriptHold, "until": scriptUntil, "serve": scriptServe,
		},
	})
}

func setupScript(env *testscript.Env) error {
	database, empty, second, role := newName(), newName(), newName(), newName()
	server, template := os.Getenv(envServer), os.Getenv(envServer+"_TEMPLATE")
	for _, sql := range []string{
		"CREATE DATABASE " + database + " STRATEGY FILE_COPY TEMPLATE " + template, "CREATE DATABASE " + second + " STRATEGY FILE_COPY TEMPLATE " + template, "CREATE DATABASE " + empty,
		"CREATE ROLE " + role + "_reader LOGIN PASSWORD 'test' IN ROLE eventstream_all_tenants", "CREATE ROLE " + role + "_nobody LOGIN PASSWORD 'test'",
	} {
		if err := execute(server, sql); err != nil {
			return err
		}
	}
	env.Defer(func() { dropScript(env, server, []string{database, empty, second}, role) })
	grants := fmt.Sprintf("GRANT USAGE ON SCHEMA eventstream TO %[1]s; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO %[1]s", role+"_reader")
	if err := execute(onDatabase(server, database), grants); err != nil {
		return err
	}
	env.Setenv("DATABASE_URL", onDatabase(server, database))
	env.Setenv("SECOND_URL", onDatabase(server, second))
	env.Setenv("EMPTY_URL", onDatabase(server, empty))
	env.Setenv("READER_URL", asRole(onDatabase(server, database), role+"_reader"))
	env.Setenv("NOBODY_URL", asRole(onDatabase(server, database), role+"_nobody"))
	env.Setenv("AWAY_URL", "postgres://postgres@127.0.0.1:1/none?connect_timeout=2")
	return nil
}

func dropScript(env *testscript.Env, server string, databases []string, role string) {
	for _, name := range databases {
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			env.T().Log(err)
		}
	}
	for _, kind := range []string{"_reader", "_nobody"} {
		if err := execute(server, "DROP ROLE "+role+kind); err != nil {
			env.T().Log(err)
		}
	}
}

func onDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // pgserver gives URLs
	}
	u.Path = "/" + name
	return u.String()
}

func asRole(dsn, role string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err)
	}
	u.User = url.UserPassword(role, "test")
	return u.String()
}

// scriptSQL runs statements in the database of the script: sql 'SELECT 1'.
func scriptSQL(ts *testscript.TestScript, _ bool, args []string) {
	for _, sql := range args {
		ts.Check(execute(ts.Getenv("DATABASE_URL"), sql))
	}
}

var (
	anyTime     = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:\d\d)?)?`)
	anyUUID     = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyDatabase = regexp.MustCompile(`gapless_command_[0-9a-f]{32}`)
	anySeconds  = regexp.MustCompile(`"(seconds|lag_seconds)":[0-9.e+-]+`)
	trailing    = regexp.MustCompile(`(?m)[ \t]+$`)
)

// normal puts words for what differs from run to run, but for times of the year 2020, which scripts give by hand.
func normal(text string) string {
	text = anyUUID.ReplaceAllStringFunc(text, func(id string) string {
		if strings.HasPrefix(id, "00000000") {
			return id
		}
		return "UUID"
	})
	text = anyTime.ReplaceAllStringFunc(text, func(at string) string {
		if strings.HasPrefix(at, "2020-") {
			return at
		}
		return "TIME"
	})
	text = anySeconds.ReplaceAllString(anyDatabase.ReplaceAllString(text, "DATABASE"), `"$1":N`)
	return trailing.ReplaceAllString(text, "")
}

// scriptGolden compares a file, or stdout or stderr, with another but for times, ids and names of databases: golden stdout want.
func scriptGolden(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: golden stdout|stderr|file want")
	}
	got, want := normal(ts.ReadFile(args[0])), normal(ts.ReadFile(args[1]))
	if got != want {
		ts.Fatalf("%s is not %s:\n--- got\n%s--- want\n%s", args[0], args[1], got, want)
	}
}

// scriptSame compares two files byte for byte.
func scriptSame(ts *testscript.TestScript, neg bool, args []string) {
	if equal := ts.ReadFile(args[0]) == ts.ReadFile(args[1]); equal == neg {
		ts.Fatalf("%s and %s: equal is %t", args[0], args[1], equal)
	}
}

// scriptExitCode runs the program and compares its exit code: exitcode 2 read. What it said is in stdout and stderr of the script's directory.
func scriptExitCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec("sh", append([]string{"-c", `want=$1; shift; gapless "$@" >out 2>err; got=$?
cat err >&2; cat out
lines=$(wc -l <err); [ "$lines" -le 1 ] || { echo "$lines lines on standard error" >&2; exit 1; }
[ "$got" = "$want" ] || { echo "exit code $got, want $want" >&2; exit 1; }`, "sh"}, args...)...)
	ts.Check(err)
}

// scriptSameStore compares what events say in the two stores: all but what a store gives them.
func scriptSameStore(ts *testscript.TestScript, _ bool, _ []string) {
	var said [2][]string
	for i, name := range []string{"DATABASE_URL", "SECOND_URL"} {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, ts.Getenv(name))
		ts.Check(err)
		defer conn.Close(ctx)
		rows, err := conn.Query(ctx, `
			SELECT concat_ws(' ', stream_id, version, event_id, type, tenant_id, partition_id, extract(epoch FROM occurred_at), payload::text, metadata::text,
				coalesce('bytes ' || length(data) || md5(data), 'none'))
			FROM eventstream.events ORDER BY position`)
		ts.Check(err)
		said[i], err = pgx.CollectRows(rows, pgx.RowTo[string])
		ts.Check(err)
	}
	if len(said[0]) == 0 || !slices.Equal(said[0], said[1]) {
		ts.Fatalf("the stores differ:\n%s\n---\n%s", strings.Join(said[0], "\n"), strings.Join(said[1], "\n"))
	}
}

// scriptHold runs statements in a session of its own, which ends as the given statement becomes true: hold 'BEGIN; ...' 'SELECT ...'.
func scriptHold(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	conn, err := pgx.Connect(ctx, ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	_, err = conn.Exec(ctx, args[0])
	ts.Check(err)
	ended := make(chan struct{})
	dsn := ts.Getenv("DATABASE_URL")
	go func() {
		defer close(ended)
		_ = await(ctx, dsn, args[1])
		_ = conn.Close(ctx)
	}()
	ts.Defer(func() { cancel(); <-ended })
}

// scriptUntil waits until a statement gives true: until 'SELECT ...'.
func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ts.Check(await(ctx, ts.Getenv("DATABASE_URL"), args[0]))
}

// await waits until a statement gives true.
func await(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for done := false; !done; {
		if err := conn.QueryRow(ctx, sql).Scan(&done); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// scriptBig writes a file of so many bytes, each value among them: big file 1048576.
func scriptBig(ts *testscript.TestScript, _ bool, args []string) {
	var size int
	_, err := fmt.Sscan(args[1], &size)
	ts.Check(err)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// scriptTruncate cuts the last bytes off a file: truncate file 20.
func scriptTruncate(ts *testscript.TestScript, _ bool, args []string) {
	var less int64
	_, err := fmt.Sscan(args[1], &less)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-less))
}
