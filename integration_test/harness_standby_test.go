package integration_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/leftout"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// replayTimeout bounds waitReplayed; a replica follows within milliseconds, but the machine may be busy.
const replayTimeout = 30 * time.Second

// cluster is a bundle on a server of its own, which the test may stop and change as it likes.
type cluster struct {
	*bundle
	server *pgserver.Server
}

// ownServer starts a server for one test, and stops it with the test. Where GAPLESS_TEST_DSN names the only server that can
// be had the test is skipped, but not in CI, where nobody would notice.
func ownServer(t testing.TB, opts pgserver.Options) *pgserver.Server {
	t.Helper()
	opts.Log = t.Output()
	own, err := server.StartAnother(context.Background(), opts)
	if errors.Is(err, pgserver.ErrNoOther) && os.Getenv("CI") == "" {
		leftout.Skip(t, err)
	}
	require.NoError(t, err)
	stopAtEnd(t, own)
	return own
}

func stopAtEnd(t testing.TB, own *pgserver.Server) {
	t.Helper()
	t.Log(own.Origin)
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
}

// startPrimary gives a migrated database on a server that replicas can follow.
func startPrimary(t testing.TB) *cluster {
	t.Helper()
	own := ownServer(t, pgserver.Options{})
	primary := onServer(t, own, createDatabase(t, own))
	require.NoError(t, migrations.Up(primary.ctx, primary.pool, nil))
	return primary
}

// startReplica gives the same database on a new replica. What is committed on the primary from now on arrives later; see
// waitReplayed.
func startReplica(t testing.TB, primary *cluster) *cluster {
	t.Helper()
	own, err := primary.server.StartReplica(primary.ctx)
	require.NoError(t, err)
	stopAtEnd(t, own)
	return onServer(t, own, databaseOf(primary.bundle))
}

// promote makes a replica take writes; the connections that its pool has are good for it.
func promote(t testing.TB, replica *cluster) {
	t.Helper()
	require.NoError(t, replica.server.Promote(replica.ctx))
}

// dumpInto carries a database to a new one of another server, as `pg_dump | psql` does.
func dumpInto(t testing.TB, from *cluster, to *pgserver.Server) *cluster {
	t.Helper()
	dump, err := from.server.Dump(from.ctx, databaseOf(from.bundle))
	require.NoError(t, err)
	name := createDatabase(t, to)
	// Roles are the server's, and not in the dump of a database.
	for _, role := range []string{"all_tenants", "writer", "reader", "subscriber", "auditor", "eraser", "tenant"} {
		execSQL(t, from.ctx, connect(t, to.DSN(name), ""), `DO $$ BEGIN CREATE ROLE eventstream_`+role+`; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	}
	require.NoError(t, to.Restore(from.ctx, name, dump))
	return onServer(t, to, name)
}

// waitReplayed returns when a replica shows everything that was committed on the primary before the call.
func waitReplayed(t testing.TB, primary, replica *cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(primary.ctx, replayTimeout)
	defer cancel()
	target, replayed := walMark(t, primary), ""
	for delay := time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		var done bool
		err := replica.pool.QueryRow(ctx, `
			SELECT pg_catalog.pg_last_wal_replay_lsn()::text, pg_catalog.pg_last_wal_replay_lsn() >= $1::text::pg_catalog.pg_lsn`,
			target).Scan(&replayed, &done)
		if err == nil && done {
			return
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			t.Fatalf("the replica has replayed up to %q and not up to %s (%v)", replayed, target, err)
		}
	}
}

// walMark gives a position in the WAL behind all that is committed. The server's own functions do not: with
// synchronous_commit off the written position lags behind commits, and the insert position may be one that no record ends
// at. So a record is written, which ends at the position, and flushed, since only then it is sent.
func walMark(t testing.TB, primary *cluster) (lsn string) {
	t.Helper()
	inTx(t, primary.bundle, func(tx pgx.Tx) {
		// Not a value that waits for replicas: the test may hold them up.
		_, err := tx.Exec(primary.ctx, `SET LOCAL synchronous_commit = local`)
		require.NoError(t, err)
		err = tx.QueryRow(primary.ctx, `SELECT pg_catalog.pg_logical_emit_message(true, 'gapless', 'waitReplayed')::text`).Scan(&lsn)
		require.NoError(t, err)
	})
	return lsn
}

// createDatabase makes an empty database on a server of the test's own, and gives its name.
func createDatabase(t testing.TB, own *pgserver.Server) string {
	t.Helper()
	name := newDatabaseName()
	_, err := connect(t, own.DSN(""), "").Exec(context.Background(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	return name
}

func onServer(t testing.TB, own *pgserver.Server, database string) *cluster {
	t.Helper()
	return &cluster{bundle: bundleOn(t, own.DSN(database)), server: own}
}

func databaseOf(b *bundle) string { return b.pool.Config().ConnConfig.Database }

// A replica is read, refuses writes, and takes them once it is promoted.
func TestHarnessStandby(t *testing.T) {
	t.Parallel()
	primary := startPrimary(t)
	before := given(t, primary.bundle, "order-1", 3)
	replica := startReplica(t, primary)
	requireHolds(t, replica.bundle, "order-1", before...)

	after := given(t, primary.bundle, "order-2", 3)
	waitReplayed(t, primary, replica)
	requireHolds(t, replica.bundle, "order-2", after...)
	requireAuditClean(t, replica.bundle)

	_, err := replica.repo.Append(replica.ctx, "order-3", eventstream.Empty, anEvent(t, 1))
	require.ErrorIs(t, err, eventstream.ErrReadOnly)
	requireSQLState(t, err, "25006")

	require.NoError(t, primary.server.Stop())
	promote(t, replica)
	given(t, replica.bundle, "order-3", 3)
	_, err = replica.repo.Append(replica.ctx, "order-1", eventstream.Exact(3), anEvent(t, 4))
	require.NoError(t, err)
	requireAuditClean(t, replica.bundle)
}

// A database that was dumped and restored in another cluster is the same, and goes on where it was.
func TestHarnessDumpRestore(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	from := startPrimary(t)
	events := given(t, from.bundle, "order-1", 3)
	restored := dumpInto(t, from, ownServer(t, pgserver.Options{}))
	require.NotEqual(t, from.dsn, restored.dsn)

	requireHolds(t, restored.bundle, "order-1", events...)
	requireAuditClean(t, restored.bundle)
	next := anEvent(t, 4)
	result, err := restored.repo.Append(restored.ctx, "order-1", eventstream.Exact(3), next)
	require.NoError(t, err)
	require.Equal(t, int64(4), result.CurrentVersion)
	requireHolds(t, restored.bundle, "order-1", append(events, next)...)
	findings, err := restored.repo.Audit(restored.ctx)
	require.NoError(t, err)
	require.Empty(t, findings)
	requireHolds(t, from.bundle, "order-1", events...)
}
