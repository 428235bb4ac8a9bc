package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

// server is started by the first test that needs it.
var (
	server    *pgserver.Server
	startOnce sync.Once
	errStart  error
	databases atomic.Int64
)

func TestMain(m *testing.M) {
	code := m.Run()
	if server != nil {
		code = max(code, failed(server.Stop()))
	}
	if code == 0 {
		code = failed(goleak.Find())
	}
	os.Exit(code)
}

func failed(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// newDatabase returns the DSN of an empty database.
func newDatabase(t *testing.T) string {
	t.Helper()
	startOnce.Do(func() {
		server, errStart = pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr})
	})
	require.NoError(t, errStart)
	name := fmt.Sprintf("githistory_%d_%d", os.Getpid(), databases.Add(1))
	admin(t, `CREATE DATABASE `+name+` ENCODING 'UTF8' TEMPLATE template0`)
	t.Cleanup(func() { admin(t, `DROP DATABASE `+name+` WITH (FORCE)`) })
	return server.DSN(name)
}

func admin(t *testing.T, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server.DSN(""))
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	require.NoError(t, err)
}

func TestRunShowsEverything(t *testing.T) {
	t.Parallel()
	dir := newRepo(t)
	write(t, dir, map[string]string{"a": "1\n", "b": "1\n"})
	commitAll(t, dir, "add \x1b[31mboth")
	write(t, dir, map[string]string{"a": "2\n"})
	commitAll(t, dir, "change one")

	var stdout, stderr bytes.Buffer
	o := options{repo: dir, dsn: newDatabase(t), twice: true, keep: true}
	require.NoError(t, run(t.Context(), o, &stdout, &stderr))
	for _, want := range []string{
		"(3 appended, 0 duplicate)", "(0 appended, 3 duplicate)", "streams              2", "       2  file-a\n",
		"version 2, watermark 2, gapless: true", `add \u001b[31mboth`, "+1 -1",
		"SELECT * FROM eventstream.audit();\n  clean: no rows", "psql '",
	} {
		require.Contains(t, stdout.String(), want)
	}
	require.NotContains(t, stdout.String(), "\x1b")
	require.Contains(t, stderr.String(), "2 of 2 commits, 3 events")
}

func TestHintsCanBeTyped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.importPath(t, syntheticRepo(t, 3, 3, 1, false))
	var refused int
	for query := range strings.SplitSeq(strings.TrimSpace(hintQueries), ";") {
		if strings.TrimSpace(query) == "" {
			continue
		}
		if _, err := b.pool.Exec(t.Context(), query); err != nil {
			require.Regexp(t, `ES00[24]`, err)
			refused++
		}
	}
	require.Equal(t, 2, refused, "two of them show a refusal")
}

func TestAuditFindingsFailTheRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.importPath(t, syntheticRepo(t, 3, 3, 1, false))
	_, err := b.pool.Exec(t.Context(), `ALTER TABLE eventstream.events DISABLE TRIGGER ALL`)
	require.NoError(t, err)
	var out bytes.Buffer
	require.ErrorIs(t, writeReport(t.Context(), &out, b.pool), errAudit)
	require.NotContains(t, out.String(), "clean")
}

func TestPsqlCommandHidesOnlyTheUsersPassword(t *testing.T) {
	t.Parallel()
	require.Equal(t, `psql 'postgres://u:own@h:1/d?sslmode=disable'`, psql("postgres://u:own@h:1/d?sslmode=disable", false))
	require.Equal(t, `psql 'postgres://u@h:1/d?sslmode=disable'`, psql("postgres://u:p@h:1/d?password=p&sslmode=disable", true))
	require.Equal(t, `psql "$GAPLESS_DEMO_DSN"`, psql("host=h password=p", true))
}

func TestRunRefusesBeforeItStartsAServer(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), options{repo: t.TempDir()}, &stdout, &stderr)
	require.ErrorIs(t, err, errNotARepo)
	require.Empty(t, stderr.String())
	require.Equal(t, 1, exitCode(err))
}

func TestProgressIsLimited(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out, 10)
	for range 1000 {
		p.update(totals{commits: 5})
	}
	require.Empty(t, out.String())
	p.last = time.Now().Add(-time.Hour)
	p.update(totals{commits: 5, appended: 7})
	require.Contains(t, out.String(), "5 of 10 commits, 7 events")

	out.Reset()
	p.terminal = true
	p.line(totals{commits: 6})
	p.note("something %d", 1)
	p.done(totals{commits: 10})
	require.Regexp(t, `^\r6 of.*\r +\rnote: something 1\n\r10 of 10 commits.*\n$`, out.String())
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	require.Equal(t, 130, exitCode(fmt.Errorf("x: %w", context.Canceled)))
	require.Equal(t, 1, exitCode(errors.New("x")))
}
