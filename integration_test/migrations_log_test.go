package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/migrations"
)

// beforeTheLog is the last migration of a store that has events and no log yet.
const beforeTheLog = 15

// A store that was filled before there was a log gets all of it: every event in order, numbered, for readers and subscriptions.
func TestMigrationsGiveAFilledStoreItsLog(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	b := setup(t)
	require.NoError(t, migrations.DownTo(b.ctx, b.pool, beforeTheLog, nil))
	for i := range 60 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("old-%d", i)), 50)
		tx, err := b.pool.Begin(b.ctx) // a hole in the positions
		require.NoError(t, err)
		// By the function of that time: the repository knows newer ones.
		_, err = tx.Exec(b.ctx, `SELECT eventstream.append('burnt-1', 'tested.appended')`)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback(b.ctx))
	}
	require.NoError(t, migrations.Up(b.ctx, b.pool, nil))
	requireAuditClean(t, b)

	requireGapless(t, b, readAll(t, b.repo.ReadLog(b.ctx, eventstream.LogOptions{})))
	j := newJournal()
	keepRunning(t, b, subscribe(t, b, "reader", subscription.TxHandler(j.tx), nil))
	given(t, b, "new-1", 3)
	requireGapless(t, b, j.waitCount(t, b.ctx, 3003))
	keep(t, b)
	require.Equal(t, int64(3003), number(t, b.ctx, b.pool, `SELECT last_sequence FROM eventstream.log_state`))
	require.Positive(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.partition_marks`))
	requireAuditClean(t, b)
}
