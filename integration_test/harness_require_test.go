package integration_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// blockTimeout bounds waitBlocked; a session that is to block does so at once, but the machine may be busy.
const blockTimeout = 30 * time.Second

// waitBlocked returns when PostgreSQL says that one session waits for a lock that the other one holds, or waits for
// before it. Both are backend process ids.
func waitBlocked(t testing.TB, b *bundle, blocked, by uint32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, blockTimeout)
	defer cancel()
	var blockers []int32
	for delay := time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		err := b.pool.QueryRow(ctx, `SELECT pg_catalog.pg_blocking_pids($1)`, int32(blocked)).Scan(&blockers)
		if err == nil && slices.Contains(blockers, int32(by)) {
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			t.Fatalf("session %d was not blocked by session %d, but by %v (%v)\n%s",
				blocked, by, blockers, err, sessionsOf(b))
		}
	}
}

// sessionsOf says what the sessions of the bundle's database do, for failure messages.
func sessionsOf(b *bundle) string {
	var text string
	err := b.pool.QueryRow(context.Background(), `
		SELECT coalesce(string_agg(format('%s %s %s: %s', pid, state, wait_event, query), E'\n' ORDER BY pid), '')
		FROM pg_catalog.pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`).Scan(&text)
	if err != nil {
		return err.Error()
	}
	return text
}

// requireSQLState demands an error that PostgreSQL raised with this code, and gives it.
func requireSQLState(t testing.TB, err error, code string) *pgconn.PgError {
	t.Helper()
	require.Error(t, err, "SQLSTATE %s was expected", code)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Fatalf("SQLSTATE %s was expected, got another kind of error: %v", code, err)
	}
	require.Equal(t, code, refusal.Code, "%s; %s", refusal.Message, refusal.Detail)
	return refusal
}

// requireAuditClean demands that the database's own audit finds nothing, not even a warning.
func requireAuditClean(t testing.TB, b *bundle) {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT finding::text FROM eventstream.audit() AS finding`)
	require.NoError(t, err)
	findings, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, findings, "eventstream.audit()")
}

// hasCode says whether an error is one that PostgreSQL raised with this code.
func hasCode(err error, code string) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.Code == code
}
