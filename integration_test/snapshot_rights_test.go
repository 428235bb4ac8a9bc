package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	loadsTally = `SELECT count(*) FROM eventstream.load_snapshot('order-1', 'tally', 1)`
	seesTally  = `SELECT count(*) FROM eventstream.snapshots`
)

// roleWith makes a role with these rights and USAGE on the schema, and gives a session of it.
func roleWith(t *testing.T, b *bundle, grants ...string) *pgx.Conn {
	t.Helper()
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role)
	for _, grant := range grants {
		execSQL(t, b.ctx, b.pool, `GRANT `+grant+` TO `+role)
	}
	return connect(t, b.dsn, role)
}

// A snapshot tells what its events tell: it is for those alone who may read them, and writing one is for whom the owner names.
func TestSnapshotIsForThoseWhoMayReadItsEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 5)
	saveSnapshot(t, b, snapshotAt(events, "order-1", 3, "secret"))
	const readEvents = `SELECT ON eventstream.events, eventstream.pending_events`

	for name, conn := range map[string]*pgx.Conn{
		"nothing":        roleWith(t, b),
		"events alone":   roleWith(t, b, readEvents),
		"snapshots only": roleWith(t, b, `SELECT ON eventstream.snapshots`),
		"what waits too": roleWith(t, b, `SELECT ON eventstream.snapshots, eventstream.pending_events`),
	} {
		requireSQLState(t, simpleErr(b.ctx, conn, loadsTally), denied)
		requireSQLState(t, simpleErr(b.ctx, conn, seesTally), denied)
		requireSQLState(t, simpleErr(b.ctx, conn, `SELECT eventstream.save_snapshot('order-1', 'tally', 1, gen_random_uuid(), 1, '')`), denied)
		require.NotEmpty(t, name)
	}

	reader := roleWith(t, b, `SELECT ON ALL TABLES IN SCHEMA eventstream`)
	require.EqualValues(t, 3, number(t, b.ctx, reader, loadsTally), "the event at the snapshot, and two after it")
	require.EqualValues(t, 1, number(t, b.ctx, reader, seesTally))
	for _, sql := range []string{
		`DELETE FROM eventstream.snapshots`, `UPDATE eventstream.snapshots SET state = ''`, `TRUNCATE eventstream.snapshots`,
		`INSERT INTO eventstream.snapshots (stream_id, name, version, event_id, schema_version, digest, state) VALUES ('a', 'b', 1, gen_random_uuid(), 1, '', '')`,
		`SELECT eventstream.save_snapshot('order-1', 'tally', 1, gen_random_uuid(), 1, '')`,
	} {
		requireSQLState(t, simpleErr(b.ctx, reader, sql), denied)
	}

	writer := roleWith(t, b, `EXECUTE ON FUNCTION eventstream.save_snapshot`)
	saved, err := repoOn(t, writer).SaveSnapshot(b.ctx, snapshotAt(events, "order-1", 4, "next"))
	require.NoError(t, err)
	require.True(t, saved)
	requireSQLState(t, simpleErr(b.ctx, writer, seesTally), denied)

	cleaner := roleWith(t, b, readEvents, `SELECT, DELETE ON eventstream.snapshots`)
	simple(t, cleaner, `DELETE FROM eventstream.snapshots`)
	require.Zero(t, number(t, b.ctx, b.pool, seesTally))
}

// Where row security shows a role the events of one tenant, it sees the snapshots of that tenant's streams, and no others: neither in the table
// nor by loading, nor with row security turned off in its session.
func TestSnapshotOfAnotherTenantIsNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for id, tenant := range map[eventstream.StreamID]eventstream.TenantID{"order-1": "acme", "order-2": "rival"} {
		events := someEvents(t, 5, eventstream.WithTenant(tenant))
		_, err := b.repo.Append(b.ctx, id, eventstream.Empty, events...)
		require.NoError(t, err)
		saveSnapshot(t, b, snapshotAt(events, id, 4, "of "+string(tenant)))
	}
	acme := sessionFor(t, b, tenantLogin(t, b), "acme")
	states := func() (all []string) {
		rows, err := acme.Query(b.ctx, `SELECT convert_from(state, 'UTF8') FROM eventstream.snapshots`)
		require.NoError(t, err)
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return all
	}
	require.Equal(t, []string{"of acme"}, states())
	repo := repoOn(t, acme)
	stream, found, err := repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.NoError(t, err)
	require.Equal(t, []any{"of acme", int64(4)}, []any{string(found.Snapshot.State), stream.BaseVersion()})
	_, _, err = repo.LoadOnSnapshot(b.ctx, "order-2", tallyKind)
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)

	simple(t, acme, `SET row_security = off`)
	requireSQLState(t, simpleErr(b.ctx, acme, seesTally), denied)
	_, found, err = repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.NoError(t, err, "a default of the session is not relied on")
	require.Equal(t, eventstream.SnapshotUsed, found.Status)
}

// An owner who is no superuser loads and saves as a superuser does.
func TestSnapshotOfAnOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 5)
	repo := repoOn(t, connect(t, b.dsn, ownerRole(t, b)))
	saved, err := repo.SaveSnapshot(context.Background(), snapshotAt(events, "order-1", 3, "state"))
	require.NoError(t, err)
	require.True(t, saved)
	_, found, err := repo.LoadOnSnapshot(b.ctx, "order-1", tallyKind)
	require.NoError(t, err)
	require.Equal(t, eventstream.SnapshotUsed, found.Status)
}
