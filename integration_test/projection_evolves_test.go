package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// countedStreams are the streams that a projection holds.
func countedStreams(t testing.TB, b *bundle, table string) (ids []string) {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT stream_id FROM `+table+` ORDER BY 1`)
	require.NoError(t, err)
	ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return ids
}

// A rebuild takes over another filter, other tables and another number of shards, under the same name; who still runs the old one is told.
func TestProjectionRebuildAdoptsWhatChanged(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		b := setup(t, withMaxConns(16))
		given(t, b, "order-1", 3)
		given(t, b, "invoice-1", 3)
		before := projector(t, b, countsIn("sales", &subscription.Config{Filter: eventstream.LogFilter{Category: "order"}}))
		running := run1(t, b, before)
		awaitCheckpoint(t, b, before.Subscription)
		require.Equal(t, []string{"order-1"}, countedStreams(t, b, "sales.streams"))

		changed := countsIn("sales", &subscription.Config{Shards: 4})
		changed.Setup = func(ctx context.Context, tx pgx.Tx, schema string) error {
			_, err := tx.Exec(ctx, `CREATE TABLE `+schema+`.totals (stream_id text PRIMARY KEY, events bigint, version bigint)`)
			return err
		}
		changed.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
			return applyCounts(ctx, tx, schema+`.totals`, events)
		}
		after := projector(t, anotherProcess(t, b, nil), changed)
		require.ErrorIs(t, after.Run(b.ctx), subscription.ErrMismatch, "before it is rebuilt")
		require.ErrorContains(t, after.Run(b.ctx), "takes over another filter when it is rebuilt")
		require.NoError(t, after.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace}))
		require.Equal(t, []string{"invoice-1", "order-1"}, countedStreams(t, b, "sales.totals"))
		requireCounted(t, b, "sales.totals")
		var mismatch *subscription.MismatchError
		require.ErrorAs(t, running.wait(t, b), &mismatch, "the old one must not write into the new tables")
		require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT 1 WHERE to_regclass('sales.streams') IS NULL`).Scan(new(int)))
		given(t, b, "invoice-2", 3)
		caughtUp(t, b, after)
		requireCounted(t, b, "sales.totals")
		require.Equal(t, int64(4), number(t, b.ctx, b.pool, `SELECT shard_count FROM eventstream.subscriptions WHERE name = 'sales'`))
	}
}

// A new filter whose rebuild fails leaves the old one at work.
func TestProjectionRebuildWithABadConfigChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 3)
	p := projector(t, b, countsIn("sales", nil))
	caughtUp(t, b, p)
	for _, c := range []struct {
		config *subscription.Config
		opts   subscription.RebuildOptions
	}{
		{&subscription.Config{Filter: eventstream.LogFilter{Partitions: []int{32}}}, subscription.RebuildOptions{InPlace: true}},
		{&subscription.Config{Shards: 33}, subscription.RebuildOptions{InPlace: true}},
		{&subscription.Config{Shards: 33}, subscription.RebuildOptions{InPlace: true, Shards: 1}},
		{nil, subscription.RebuildOptions{InPlace: true, Shards: 33}},
		{nil, subscription.RebuildOptions{Shards: -1}},
	} {
		require.ErrorIs(t, projector(t, b, countsIn("sales", c.config)).Rebuild(b.ctx, &c.opts), eventstream.ErrInvalidValue)
		requireCounted(t, b, "sales.streams")
	}
	given(t, b, "order-2", 3)
	caughtUp(t, b, p)
	requireCounted(t, b, "sales.streams")
}

// skipping is a projection of an event that cannot be applied, at position 4.
func skipping(config *subscription.Config, p *poison) subscription.Projection {
	projection := countsIn("stock", config)
	apply := projection.Apply
	projection.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if err := p.decide(events); err != nil {
			return err
		}
		return apply(ctx, tx, schema, events)
	}
	return projection
}

// What was skipped on record is left out by every rebuild, whether the event could be applied by now or not.
func TestProjectionRebuildLeavesOutWhatWasSkipped(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		b := setup(t, withMaxConns(16))
		rounds(t, b, 5, "a-1", "b-1")
		p := poisoned(-1, 4)
		live := projector(t, b, skipping(quick(subscription.Park), p))
		caughtUp(t, b, live)
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "stock", 4, "a test"))
		for range 2 {
			require.NoError(t, live.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace}))
			require.Empty(t, parkedPositions(t, b, "stock"))
			require.Equal(t, int64(9), number(t, b.ctx, b.pool, `SELECT sum(events) FROM stock.streams`))
			require.Zero(t, p.triedAlone(4)-3, "it was tried before the skip, and not again")
		}
		p.cure(4)
		require.NoError(t, live.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace, Shards: 4}))
		require.Equal(t, int64(9), number(t, b.ctx, b.pool, `SELECT sum(events) FROM stock.streams`))
	}
}

// Steps: a rebuild stops on an event; its error names the projection; the event is skipped for that, or under the name of the rebuild's own
// subscription; the next rebuild leaves it out.
func TestProjectionRebuildStopsOnAnEventThatIsThenSkipped(t *testing.T) {
	t.Parallel()
	for _, ofRebuild := range []bool{false, true} {
		b := setup(t, withMaxConns(16))
		rounds(t, b, 5, "a-1", "b-1")
		caughtUp(t, b, projector(t, b, countsIn("stock", nil)))
		p := projector(t, b, skipping(quick(subscription.Stop), poisoned(-1, 4)))
		err := p.Rebuild(b.ctx, nil)
		var failed *subscription.HandlerError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, errPoison)
		require.ErrorContains(t, err, `rebuild of projection "stock"`)
		require.Equal(t, "stock", failed.Subscription)
		require.Equal(t, int64(4), failed.Event.Position)
		name := failed.Subscription
		if ofRebuild {
			require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT name FROM eventstream.subscriptions WHERE rebuilds = 'stock'`).Scan(&name))
		}
		require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, name, 4, "a test"))
		require.NoError(t, p.Rebuild(b.ctx, nil))
		require.Equal(t, int64(9), number(t, b.ctx, b.pool, `SELECT sum(events) FROM stock.streams`))
		requireNoRow(t, b, `SELECT subscription FROM eventstream.subscription_skips WHERE subscription <> 'stock'`)
	}
}

// Steps: a rebuild runs, and has not come to an event that is skipped now: it leaves it out. It has applied another one: a skip of that is
// refused, since it would not undo it, until the rebuild is over.
func TestProjectionSkipDuringARebuild(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	rounds(t, b, 5, "a-1", "b-1")
	caughtUp(t, b, projector(t, b, countsIn("stock", nil)))
	reached, goOn := make(chan struct{}), make(chan struct{})
	slow := countsIn("stock", &subscription.Config{BatchSize: 1})
	apply := slow.Apply
	slow.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if events[0].Position == 5 {
			select {
			case <-reached: // it comes twice
			default:
				close(reached)
				<-goOn
			}
		}
		return apply(ctx, tx, schema, events)
	}
	p := projector(t, b, slow)
	rebuilding := inBackground(func() error { return p.Rebuild(b.ctx, nil) })
	<-reached
	err := subscription.SkipEvent(b.ctx, b.repo, "stock", 4, "too late")
	require.ErrorIs(t, err, subscription.ErrProjectionMismatch)
	require.ErrorContains(t, err, "has applied the event at position 4")
	require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "stock", 7, "in time"))
	close(goOn)
	require.NoError(t, <-rebuilding)
	require.Equal(t, int64(9), number(t, b.ctx, b.pool, `SELECT sum(events) FROM stock.streams`))
	require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "stock", 4, "for the next rebuild"))
	require.NoError(t, p.Rebuild(b.ctx, nil))
	require.Equal(t, int64(8), number(t, b.ctx, b.pool, `SELECT sum(events) FROM stock.streams`))
}

// Steps: a rebuild is interrupted; the log goes on; nothing says that a subscription lags; the next rebuild removes what was left. While one
// runs, nothing lags either, and audit_projections says how far it is.
func TestProjectionRebuildInterruptedRaisesNoAlarm(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 10)
	p := projector(t, b, countsIn("stock", nil))
	keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireNoLag := func() {
		t.Helper()
		lag, err := subscription.List(b.ctx, b.repo)
		require.NoError(t, err)
		require.Len(t, lag, 1)
		require.Equal(t, "stock", lag[0].Subscription)
		requireNoRow(t, b, `SELECT subscription, lag_events FROM eventstream.audit_subscriptions WHERE lag_events > 0 OR lag_seconds > 0`)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	stuck := countsIn("stock", nil)
	reached := make(chan struct{}, 10)
	stuck.Apply = func(ctx context.Context, _ pgx.Tx, _ string, _ []eventstream.LogEvent) error {
		reached <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	rebuilding := inBackground(func() error { return projector(t, anotherProcess(t, b, nil), stuck).Rebuild(ctx, nil) })
	<-reached
	given(t, b, "order-2", 10)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	requireNoLag()
	progress := `SELECT format('%s %s %s/%s', projection, rebuild_state, rebuild_position, last_position) FROM eventstream.audit_projections`
	awaitSQL(t, b, "stock running 0/20", progress)
	cancel()
	err := <-rebuilding
	require.ErrorIs(t, err, context.Canceled)
	awaitSQL(t, b, "stock interrupted 0/20", progress)
	requireNoLag()

	require.NoError(t, p.Rebuild(b.ctx, nil))
	requireCounted(t, b, "stock.streams")
	awaitSQL(t, b, "stock  /", progress)
	requireNoRow(t, b, `SELECT name FROM eventstream.subscriptions WHERE name <> 'stock'
		UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ '^_stock'`)
	requireNoLag()
}

// Deleting a projection's subscription takes an interrupted rebuild of it along.
func TestProjectionDeletedWithItsRebuild(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	broken := countsIn("stock", &subscription.Config{MaxTries: 1, MinBackoff: time.Millisecond})
	broken.Apply = func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return errors.New("no") }
	require.Error(t, projector(t, b, broken).Rebuild(b.ctx, nil))
	require.NoError(t, subscription.Delete(b.ctx, b.repo, "stock"))
	requireNoRow(t, b, `SELECT name FROM eventstream.subscriptions`)
	caughtUp(t, b, projector(t, b, countsIn("stock", nil)))
	requireCounted(t, b, "stock.streams")
}
