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

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
)

// server is started by the first test that needs it.
var (
	server    *pgserver.Server
	startOnce sync.Once
	errStart  error
	databases atomic.Int64
)

// TestMain is also where a process begins that a test started to feed the projection.
func TestMain(m *testing.M) {
	if _, feeds := os.LookupEnv(envFeed); feeds {
		os.Exit(failed(start(context.Background())))
	}
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
	name := fmt.Sprintf("balances_%d_%d", os.Getpid(), databases.Add(1))
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

// The whole program, small and twice into one database: killed processes leave no trace, and damage fails it.
func TestBalancesSurviveKilledProcesses(t *testing.T) {
	t.Parallel()
	o := options{dsn: newDatabase(t), accounts: 10, operations: 400, writers: 4, processes: 2, kills: 2}
	for _, o.kills = range []int{2, 0} {
		var stdout, stderr bytes.Buffer
		require.NoError(t, run(t.Context(), o, &stdout, &stderr), "%s%s", &stdout, &stderr)
		require.Equal(t, o.kills, strings.Count(stderr.String(), " killed "), &stderr)
		require.Equal(t, o.kills/2, strings.Count(stderr.String(), "killed in the middle of a batch"), &stderr)
		require.Equal(t, 3, strings.Count(stdout.String(), ": no difference\n"), &stdout)
		require.Contains(t, stdout.String(), "exactly once")
		require.NotContains(t, stdout.String(), " 0 were rolled back", "a process dies with a batch that it was handed")
		t.Logf("%s%s", &stderr, &stdout)
	}
	for name, damage := range map[string]string{
		"a cent more":       `UPDATE balances.accounts SET balance = balance + 1 WHERE account = 'account-00003'`,
		"an account lost":   `DELETE FROM balances.accounts WHERE account = 'account-00004'`,
		"an event twice":    `UPDATE balances.accounts SET events = events + 1 WHERE account = 'account-00005'`,
		"an account from 0": `INSERT INTO balances.accounts VALUES ('account-99999', 0, 0)`,
	} {
		t.Run(name, func(t *testing.T) { requireReportFails(t, o.dsn, damage) })
	}
}

// requireReportFails shows damage to the report, and takes it back.
func requireReportFails(t *testing.T, dsn, damage string) {
	t.Helper()
	pool, err := newPool(t.Context(), dsn, 4, t.Name())
	require.NoError(t, err)
	defer pool.Close()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), damage)
	require.NoError(t, err)
	repo, err := eventstream.NewRepository(tx, nil)
	require.NoError(t, err)
	var out bytes.Buffer
	require.ErrorIs(t, writeReport(t.Context(), &out, tx, repo), errWrong)
	require.Contains(t, out.String(), "DIFFERENCES")
	require.NotContains(t, out.String(), "exactly once")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	require.Error(t, run(t.Context(), options{accounts: 1, operations: 1, writers: 1, processes: 1}, nil, nil))
	require.NoError(t, options{accounts: 2, operations: 1, writers: 1, processes: 1}.validate())
}

func TestEurosAndExitCodes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"0.00", "0.05", "-12.30"}, []string{euros(0), euros(5), euros(-1230)})
	require.Equal(t, 130, exitCode(fmt.Errorf("x: %w", context.Canceled)))
	require.Equal(t, 1, exitCode(errors.New("x")))
}
