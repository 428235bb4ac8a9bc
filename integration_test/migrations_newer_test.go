package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/migrations"
)

// newerBy lets a database look as a newer release would leave it, which says from which version on code can use it.
func newerBy(t *testing.T, db querier, versions, usableFrom int64) (newest int64) {
	t.Helper()
	ctx := context.Background()
	newest = migrations.Latest() + versions
	for v := migrations.Latest() + 1; v <= newest; v++ {
		execSQL(t, ctx, db, `INSERT INTO eventstream.goose_db_version (version_id, is_applied) VALUES ($1, true)`, v)
	}
	execSQL(t, ctx, db, `SELECT eventstream.declare_version($1, $2)`, newest, usableFrom)
	return newest
}

// A rolling deployment: the new release has migrated, and a process of this one starts. It starts if the schema says that it can be used by
// this code; it is refused, and told why, if not. It never undoes what it does not know.
func TestMigrationsOfANewerRelease(t *testing.T) {
	t.Parallel()
	b := &migrationsBundle{ctx: context.Background(), dsn: newDatabase(t)}
	b.pool = migrationsPool(t, b.dsn, nil)
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	newest := newerBy(t, b.pool, 2, migrations.Latest())
	before := b.dump(t)

	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	require.NoError(t, migrations.Up(b.ctx, migrationsPool(t, b.dsn, map[string]string{"default_transaction_read_only": "on"}), nil))
	var mismatch *migrations.StoreMismatchError
	require.ErrorAs(t, migrations.Up(b.ctx, b.pool, &migrations.Options{PartitionCount: 33}), &mismatch)
	require.Equal(t, newest, b.version(t))
	require.Equal(t, before, b.dump(t), "it changes nothing")
	want := migrations.DatabaseNewerError{Database: newest, Code: migrations.Latest(), UsableFrom: migrations.Latest()}
	for name, err := range map[string]error{"Down": migrations.Down(b.ctx, b.pool, nil), "DownTo": migrations.DownTo(b.ctx, b.pool, 0, nil)} {
		var newer *migrations.DatabaseNewerError
		require.ErrorAs(t, err, &newer, name)
		require.Equal(t, want, *newer, name)
	}

	// The next release but one takes old code out of service, and no later one brings it back.
	newest = newerBy(t, b.pool, 3, migrations.Latest()+1)
	later := newest + 1
	b.exec(t, `INSERT INTO eventstream.goose_db_version (version_id, is_applied) VALUES ($1, true)`, later)
	b.exec(t, `SELECT eventstream.declare_version($1, 1)`, later)
	var newer *migrations.DatabaseNewerError
	require.ErrorAs(t, migrations.Up(b.ctx, b.pool, nil), &newer)
	require.Equal(t, migrations.DatabaseNewerError{Database: later, Code: migrations.Latest(), UsableFrom: migrations.Latest() + 1}, *newer)

	// A migration that says nothing: nobody knows.
	b.exec(t, `INSERT INTO eventstream.goose_db_version (version_id, is_applied) VALUES ($1, true)`, later+1)
	require.ErrorAs(t, migrations.Up(b.ctx, b.pool, nil), &newer)
	require.Zero(t, newer.UsableFrom)
}

// Steps: a process of this release finds something to do, and waits for the lock; one of a newer release, which holds it, migrates further;
// the lock falls. The first one finds a newer database that it can use, and leaves it alone.
func TestMigrationsOvertakenByANewerRelease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := &migrationsBundle{ctx: ctx, dsn: newDatabase(t)}
	b.pool = migrationsPool(t, b.dsn, nil)
	require.NoError(t, migrations.Up(ctx, b.pool, nil))
	require.NoError(t, migrations.Down(ctx, b.pool, nil))
	holder, err := pgx.Connect(ctx, b.dsn)
	require.NoError(t, err)
	_, err = holder.Exec(ctx, `SELECT pg_advisory_lock($1)`, migrationLock)
	require.NoError(t, err)
	ended := inBackground(func() error { return migrations.Up(ctx, b.pool, nil) })
	awaitLockTry(t, holder)

	// The lock is one of sessions, and the newer release's own Up would ask for it: what it does is done by hand.
	execSQL(t, ctx, holder, `INSERT INTO eventstream.goose_db_version (version_id, is_applied) VALUES ($1, true)`, migrations.Latest())
	newest := newerBy(t, holder, 1, migrations.Latest())
	require.NoError(t, holder.Close(ctx))
	require.NoError(t, <-ended)
	require.Equal(t, newest, b.version(t))
}

// awaitLockTry waits until another session of the database has asked for the migration lock.
func awaitLockTry(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		return number(t, context.Background(), conn, `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'pg_try_advisory_lock'`) > 0
	}, blockTimeout, 10e6)
}
