package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// server is started by the first test that needs it.
var (
	server    *pgserver.Server
	startOnce sync.Once
	errStart  error
	databases atomic.Int64
)

// TestMain is also where a process begins that a test started as a teller.
func TestMain(m *testing.M) {
	if _, tells := os.LookupEnv(envTeller); tells {
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
	name := fmt.Sprintf("bank_%d_%d", os.Getpid(), databases.Add(1))
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

// migrated is a database with the schema, and a repository on it.
func migrated(t *testing.T) (dsn string, pool *pgxpool.Pool, repo *eventstream.Repository) {
	t.Helper()
	dsn = newDatabase(t)
	pool, err := newPool(t.Context(), dsn, 4, t.Name())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	repo, err = eventstream.NewRepository(pool, nil)
	require.NoError(t, err)
	return dsn, pool, repo
}

// The whole program, small and twice into one database; damage fails it.
func TestBankProgram(t *testing.T) {
	t.Parallel()
	o := options{dsn: newDatabase(t), accounts: 4, deposit: 1000, orders: 60, customers: 4, tellers: 2}
	for _, o.kills = range []int{1, 0} {
		var stdout, stderr bytes.Buffer
		require.NoError(t, run(t.Context(), o, &stdout, &stderr), "%s%s", &stdout, &stderr)
		require.Contains(t, stdout.String(), "No cent was made or lost.")
		require.Contains(t, stdout.String(), fmt.Sprintf("%d tellers were killed", o.kills))
		require.Contains(t, stdout.String(), "Paid in: 40.00. On all accounts: 40.00.")
		t.Logf("%s%s", &stderr, &stdout)
	}
	for name, damage := range map[string]string{
		"a cent more":     `UPDATE bank.accounts SET balance = balance + 1 WHERE account = 'account-00003'`,
		"an account lost": `DELETE FROM bank.accounts WHERE account = 'account-00002'`,
		"an event twice":  `UPDATE bank.accounts SET events = events + 1 WHERE account = 'account-00001'`,
	} {
		t.Run(name, func(t *testing.T) { requireReportFails(t, o.dsn, damage) })
	}
	t.Run("money made", func(t *testing.T) {
		requireReportFails(t, o.dsn, `SELECT eventstream.append('account-00001', 'account.received', '{"amount": 1}');
			UPDATE bank.accounts SET balance = balance + 1, events = events + 1 WHERE account = 'account-00001'`)
	})
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
	require.NotContains(t, out.String(), "No cent")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	require.Error(t, run(t.Context(), options{accounts: 1, orders: 1, customers: 1, tellers: 1}, nil, nil))
	require.NoError(t, options{accounts: 2, orders: 1, customers: 1, tellers: 1}.validate())
	require.Equal(t, []string{"0.00", "0.05", "-12.30"}, []string{euros(0), euros(5), euros(-1230)})
}
