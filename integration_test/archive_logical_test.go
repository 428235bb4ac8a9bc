package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// copiedBy is a store, and a copy that has what a publication of some of its tables brings.
func copiedBy(t *testing.T, tables string) (from, to *bundle) {
	t.Helper()
	own := ownServer(t, pgserver.Options{Settings: map[string]string{"wal_level": "logical"}})
	source, target := createDatabase(t, own), createDatabase(t, own)
	from, to = onServer(t, own, source).bundle, onServer(t, own, target).bundle
	for _, b := range []*bundle{from, to} {
		require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	}
	execSQL(t, from.ctx, from.pool, `CREATE PUBLICATION store FOR TABLE `+tables)
	// By hand, since both are on one server.
	execSQL(t, from.ctx, from.pool, `SELECT pg_create_logical_replication_slot('store', 'pgoutput')`)
	// As the server sees itself, which may be in a container.
	login := from.pool.Config().ConnConfig
	where := texts(t, from, `SELECT format('host=%s port=%s', coalesce(host(inet_server_addr()), current_setting('unix_socket_directories')),
		coalesce(inet_server_port()::text, current_setting('port')))`)[0]
	execSQL(t, to.ctx, to.pool, fmt.Sprintf(`CREATE SUBSCRIPTION store CONNECTION '%s dbname=%s user=%s password=%s' PUBLICATION store
		WITH (create_slot = false, slot_name = 'store')`, where, source, login.User, login.Password))
	// Each table is copied by itself first, as of a moment of its own; from here on, transactions come whole.
	awaitSQL(t, to, "r", `SELECT string_agg(DISTINCT srsubstate::text, ',') FROM pg_catalog.pg_subscription_rel`)
	return from, to
}

// Logical replication copies rows, and not that the archive is a part of events: the copy attaches its own, before or after.
func TestAnArchiveIsReplicatedLogically(t *testing.T) {
	t.Parallel()
	from, to := copiedBy(t, `eventstream.events, eventstream.archived_events, eventstream.archivings, eventstream.erasures`)
	events := given(t, from, "order-1", 6)
	awaitSQL(t, to, "6", `SELECT count(*)::text FROM eventstream.events`)
	require.Equal(t, int64(3), archive(t, from, "order-1", 5))
	awaitSQL(t, to, "3", `SELECT count(*)::text FROM eventstream.archived_events`)
	require.Equal(t, [2]string{"1 5 6", "2 3 4"}, versionsIn(t, to, "order-1"))
	require.EqualValues(t, 3, number(t, to.ctx, to.pool, `SELECT count(*) FROM eventstream.events`), "not a part of events there")
	execSQL(t, to.ctx, to.pool, `SELECT eventstream.attach_archive()`)
	requireHolds(t, to, "order-1", events...)
	execSQL(t, from.ctx, from.pool, `SELECT eventstream.erase('order-1', '[3,3]', 'request')`)
	awaitSQL(t, to, "1", `SELECT count(*)::text FROM eventstream.events AS e WHERE eventstream.is_erased(e.payload, e.data, e.metadata)`)
	require.Equal(t, int64(1), archive(t, from, "order-1", 6))
	awaitSQL(t, to, "4", `SELECT count(*)::text FROM eventstream.archived_events`)
	awaitSQL(t, to, "6", `SELECT count(*)::text FROM eventstream.events`)
	require.Empty(t, texts(t, to, `SELECT problem FROM eventstream.audit_archive UNION ALL SELECT problem FROM eventstream.audit_erasures`))
}

// A publication of events that was made before the archive was attached does not have the archive: what is archived leaves the copy, and
// arrives nowhere. The manual says to publish the schema.
func TestAPublicationOfEventsAloneLosesWhatIsArchived(t *testing.T) {
	t.Parallel()
	from, to := copiedBy(t, `eventstream.events`)
	given(t, from, "order-1", 6)
	awaitSQL(t, to, "6", `SELECT count(*)::text FROM eventstream.events`)
	require.Equal(t, int64(3), archive(t, from, "order-1", 5))
	awaitSQL(t, to, "3", `SELECT count(*)::text FROM eventstream.events`)
	require.Equal(t, [2]string{"1 5 6", ""}, versionsIn(t, to, "order-1"))
	require.Contains(t, auditProblems(t, to.pool), "gaps order-1")
}
