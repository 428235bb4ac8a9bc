package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// recoveryTimeout bounds how long a server that crashed is waited for.
const recoveryTimeout = time.Minute

// startDurable gives a migrated database on a server that keeps, after a crash, what it acknowledged, and no more: what no commit has
// flushed stays in memory.
func startDurable(t testing.TB) *cluster {
	t.Helper()
	own := ownServer(t, pgserver.Options{Durable: true, Settings: map[string]string{
		"max_prepared_transactions": "10",
		"wal_writer_delay":          "10s",
		"autovacuum":                "off",
	}})
	c := onServer(t, own, createDatabase(t, own))
	require.NoError(t, migrations.Up(c.ctx, c.pool, nil))
	return c
}

// crash kills a backend, which takes the whole server down and through crash recovery: all sessions end, and what was in memory alone is
// lost. It returns when the server answers again.
func crash(t testing.TB, c *cluster) {
	t.Helper()
	victim, killer, witness := connect(t, c.dsn, ""), connect(t, c.dsn, ""), connect(t, c.dsn, "")
	// The answer may be lost with the server.
	_, _ = killer.Exec(c.ctx, fmt.Sprintf(`COPY (SELECT 1) TO PROGRAM 'kill -9 %d'`, victim.PgConn().PID()))
	// The server ends the sessions of others once it knows; from then on nobody gets in until it has recovered.
	require.Eventually(t, func() bool { return witness.Ping(c.ctx) != nil }, recoveryTimeout, 10*time.Millisecond)
	c.pool.Reset()
	require.Eventually(t, func() bool { return c.pool.Ping(c.ctx) == nil }, recoveryTimeout, 10*time.Millisecond)
}

// A prepared transaction holds the log back through a crash: its locks are restored with it before anybody may connect.
func TestStablePreparedTransactionsSurviveACrash(t *testing.T) {
	t.Parallel()
	c := startDurable(t)
	given(t, c.bundle, "first-1", 1)
	gone, held := newActor(t, c.bundle), newActor(t, c.bundle)
	require.NoError(t, heldWrites["Append"](c.ctx, gone, "gone-1", anEvent(t, 1)))
	given(t, c.bundle, "between-1", 1)
	require.NoError(t, heldWrites["Copy"](c.ctx, held, "held-1", anEvent(t, 1)))
	rollsBack, commits := prepare(t, c.bundle, gone), prepare(t, c.bundle, held)
	given(t, c.bundle, "later-1", 2)
	requireLog(t, c.bundle, "first-1 1")

	crash(t, c)
	requireLog(t, c.bundle, "first-1 1")
	given(t, c.bundle, "after-1", 1)
	requireLog(t, c.bundle, "first-1 1")
	execSQL(t, c.ctx, c.pool, `ROLLBACK PREPARED '`+rollsBack+`'`)
	requireLog(t, c.bundle, "first-1 1", "between-1 1")
	execSQL(t, c.ctx, c.pool, `COMMIT PREPARED '`+commits+`'`)
	requireLog(t, c.bundle, "first-1 1", "between-1 1", "held-1 1", "later-1 1", "later-1 2", "after-1 1")
	requireAuditClean(t, c.bundle)
}

// The same through a failover: the replica that is promoted has the prepared transaction, and its locks.
func TestStablePreparedTransactionsSurviveAPromotion(t *testing.T) {
	t.Parallel()
	primary := startDurable(t)
	replica := startReplica(t, primary)
	given(t, primary.bundle, "first-1", 1)
	keep(t, primary.bundle)
	held := newActor(t, primary.bundle)
	require.NoError(t, heldWrites["Append"](primary.ctx, held, "held-1", anEvent(t, 1)))
	name := prepare(t, primary.bundle, held)
	given(t, primary.bundle, "later-1", 2)
	keep(t, primary.bundle)
	waitReplayed(t, primary, replica)
	requireLog(t, replica.bundle, "first-1 1")
	require.NoError(t, primary.server.Stop())

	promote(t, replica)
	given(t, replica.bundle, "after-1", 1)
	keep(t, replica.bundle)
	requireLog(t, replica.bundle, "first-1 1")
	execSQL(t, replica.ctx, replica.pool, `COMMIT PREPARED '`+name+`'`)
	requireLog(t, replica.bundle, "first-1 1", "held-1 1", "later-1 1", "later-1 2", "after-1 1")
	keep(t, replica.bundle)
	requireAuditClean(t, replica.bundle)
}
