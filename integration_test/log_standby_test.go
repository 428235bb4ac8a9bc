package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/pgserver"
)

// A standby serves the log up to the stable position that was kept and replicated; it never shows an event above it, although it
// has the row. A promoted one goes on: nothing lost, no number given twice.
func TestLogOnStandby(t *testing.T) {
	t.Parallel()
	primary := startPrimary(t)
	replica := startReplica(t, primary)
	for i := range 20 {
		given(t, primary.bundle, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 10)
	}
	keep(t, primary.bundle)
	waitReplayed(t, primary, replica)
	on := readAll(t, replica.repo.ReadLog(replica.ctx, eventstream.LogOptions{}))
	require.Len(t, on, 200)
	requireGapless(t, replica.bundle, on)

	// Writer A has its number and is not done; B commits a higher one.
	a, err := primary.pool.Begin(primary.ctx)
	require.NoError(t, err)
	_, err = primary.repo.WithTx(a).Append(primary.ctx, "slow-1", eventstream.Any, anEvent(t, 1))
	require.NoError(t, err)
	given(t, primary.bundle, "fast-1", 1)
	keep(t, primary.bundle)
	waitReplayed(t, primary, replica)
	require.Equal(t, int64(201), number(t, replica.ctx, replica.pool, `SELECT count(*) FROM eventstream.events`), "the row of B is there")
	require.Len(t, readAll(t, replica.repo.ReadLog(replica.ctx, eventstream.LogOptions{})), 200, "and is not shown")
	last := readAll(t, replica.repo.ReadLog(replica.ctx, eventstream.LogOptions{Backwards: true, Limit: 1}))
	require.Equal(t, int64(200), last[0].Sequence)
	head, err := replica.repo.LogHead(replica.ctx)
	require.NoError(t, err)
	require.Equal(t, int64(200), head.Sequence)

	s, err := subscription.New(replica.repo, "reader", subscription.TxHandler(newJournal().tx), nil)
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(replica.ctx), eventstream.ErrReadOnly)

	require.NoError(t, a.Commit(primary.ctx))
	keep(t, primary.bundle)
	waitReplayed(t, primary, replica)
	requireGapless(t, replica.bundle, readAll(t, replica.repo.ReadLog(replica.ctx, eventstream.LogOptions{})))

	promote(t, replica)
	before := number(t, replica.ctx, replica.pool, `SELECT max(position) FROM eventstream.events`)
	given(t, replica.bundle, "after-1", 5)
	require.Greater(t, number(t, replica.ctx, replica.pool, `SELECT min(position) FROM eventstream.events WHERE stream_id = 'after-1'`), before)
	j := newJournal()
	keepRunning(t, replica.bundle, subscribe(t, replica.bundle, "reader", subscription.TxHandler(j.tx), nil))
	requireGapless(t, replica.bundle, j.waitCount(t, replica.ctx, 207))
	keep(t, replica.bundle)
	requireAuditClean(t, replica.bundle)
}

// A subscription goes on after promotion where its checkpoint was replicated, with what it wrote: exactly once all the same.
func TestSubscriptionGoesOnAfterPromotion(t *testing.T) {
	t.Parallel()
	primary := startPrimary(t)
	replica := startReplica(t, primary)
	p := projector(t, primary.bundle, counts(nil))
	stop := keepRunning(t, primary.bundle, p)
	for i := range 30 {
		given(t, primary.bundle, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 10)
	}
	require.NoError(t, p.WaitFor(primary.ctx, 100))
	waitReplayed(t, primary, replica)
	stop()
	promote(t, replica)
	given(t, replica.bundle, "after-1", 5)
	again := projector(t, replica.bundle, counts(nil))
	keepRunning(t, replica.bundle, again)
	require.NoError(t, again.WaitFor(replica.ctx, drawn(t, replica.bundle)))
	requireCounted(t, replica.bundle, "counts.streams")
}

// After pg_dump | psql into a new cluster, subscriptions go on where they were: nothing skipped, nothing twice.
func TestSubscriptionsSurviveDumpAndRestore(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	from := startPrimary(t)
	tx := projector(t, from.bundle, counts(nil))
	stop := keepRunning(t, from.bundle, tx)
	effects := newJournal()
	shards := &subscription.Config{Shards: 4}
	effect := subscribe(t, from.bundle, "effects", subscription.EffectHandler(effects.effect), shards)
	stopEffects := keepRunning(t, from.bundle, effect)
	for i := range 40 {
		given(t, from.bundle, eventstream.StreamID(fmt.Sprintf("order-%d", i)), 5)
	}
	require.NoError(t, tx.WaitFor(from.ctx, drawn(t, from.bundle)))
	require.NoError(t, effect.WaitFor(from.ctx, drawn(t, from.bundle)))
	stop()
	stopEffects()
	given(t, from.bundle, "unread-1", 7)
	burnt, err := from.pool.Begin(from.ctx) // leaves a hole in the positions
	require.NoError(t, err)
	_, err = from.repo.WithTx(burnt).Append(from.ctx, "burnt-1", eventstream.Any, someEvents(t, 3)...)
	require.NoError(t, err)
	require.NoError(t, burnt.Rollback(from.ctx))
	given(t, from.bundle, "unread-2", 3)

	to := dumpInto(t, from, ownServer(t, pgserver.Options{}))
	again := projector(t, to.bundle, counts(nil))
	keepRunning(t, to.bundle, again)
	more := newJournal()
	keepRunning(t, to.bundle, subscribe(t, to.bundle, "effects", subscription.EffectHandler(more.effect),
		&subscription.Config{Shards: 4}))
	given(t, to.bundle, "new-1", 4)
	require.NoError(t, again.WaitFor(to.ctx, drawn(t, to.bundle)))
	requireCounted(t, to.bundle, "counts.streams")
	got := more.waitCount(t, to.ctx, 14)
	require.Len(t, got, 14, "only what was not read before")
	for _, e := range got {
		require.NotContains(t, string(e.StreamID), "order-")
	}
	requireGapless(t, to.bundle, readAll(t, to.repo.ReadLog(to.ctx, eventstream.LogOptions{})))
	keep(t, to.bundle)
	requireAuditClean(t, to.bundle)
}

// keep brings log_state up to date: what is stable is kept, by as many calls as it takes, each of which numbers so many events at most, or by whoever
// holds the row and keeps it meanwhile.
func keep(t testing.TB, b *bundle) {
	t.Helper()
	for stable, kept := int64(1), int64(0); kept < stable; kept = number(t, b.ctx, b.pool, keptPlace) {
		stable = number(t, b.ctx, b.pool, advance)
	}
}
