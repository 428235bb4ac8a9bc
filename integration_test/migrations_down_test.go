package integration_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/migrations"
)

// Nobody goes back on a store that holds events by mistake: neither by the package nor by the goose command's SQL, whether the events are in
// their streams or wait. Who says that they may be lost can.
func TestMigrationsDownKeepsEvents(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(*testing.T, *bundle){
		"Events": func(t *testing.T, b *bundle) { given(t, b, "order-1", 2) },
		"Waiting": func(t *testing.T, b *bundle) {
			_, err := b.repo.Ingest(b.ctx, "order-1", numbered(t, 2)[1])
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			fill(t, b)
			for _, err := range []error{migrations.Down(b.ctx, b.pool, nil), migrations.DownTo(b.ctx, b.pool, 0, &migrations.Options{})} {
				require.ErrorIs(t, err, migrations.ErrHoldsEvents)
				requireSQLState(t, err, "ES004")
			}
			version, err := migrations.Version(b.ctx, b.pool)
			require.NoError(t, err)
			require.Equal(t, migrations.Latest(), version, "nothing was undone")

			drop := &migrations.Options{DropEvents: true}
			require.NoError(t, migrations.Down(b.ctx, b.pool, drop))
			require.Empty(t, texts(t, b, `SELECT current_setting('eventstream.drop_events', true) WHERE current_setting('eventstream.drop_events', true) <> ''`),
				"the pool's connection is as it was")
			require.ErrorIs(t, migrations.DownTo(b.ctx, b.pool, 0, nil), migrations.ErrHoldsEvents, "from a version between, too")
			require.NoError(t, migrations.DownTo(b.ctx, b.pool, 0, drop))
			require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
			require.Zero(t, drawn(t, b))
		})
	}
}

// An event that is committed while the store goes back is seen before its table is dropped, and stays.
func TestMigrationsDownWaitsForWriters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, `SELECT eventstream.append('order-1', 'order.placed')`)
	down := make(chan error, 1)
	go func() { down <- migrations.DownTo(context.WithoutCancel(b.ctx), b.pool, 0, nil) }()
	waitUntilMigrationBlocked(t, tx)
	require.NoError(t, tx.Commit(b.ctx))
	requireSQLState(t, <-down, "ES004")
	require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	stream, err := b.repo.Load(b.ctx, "order-1")
	require.NoError(t, err)
	require.Equal(t, int64(1), stream.CurrentVersion())
	_, err = b.repo.Append(b.ctx, "order-1", eventstream.Exact(1), anEvent(t, 2))
	require.NoError(t, err)
	requireAuditClean(t, b)
}
