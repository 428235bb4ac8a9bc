package integration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Tables and checkpoint are of no use without each other. Whatever separates them, Run and Create say so, and what to do; either kind of
// rebuild mends it, and what comes later is counted once.
func TestProjectionTablesAndCheckpointBelongTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		separate func(t *testing.T, b *bundle)
		says     []string
	}{
		"schema dropped": {func(t *testing.T, b *bundle) {
			execSQL(t, b.ctx, b.pool, `DROP SCHEMA stock CASCADE`)
		}, []string{"schema stock with its tables does not exist", "position 10", "Rebuild it"}},
		"schema renamed": {func(t *testing.T, b *bundle) {
			execSQL(t, b.ctx, b.pool, `ALTER SCHEMA stock RENAME TO stock_backup`)
		}, []string{"schema stock with its tables does not exist", "Rebuild it"}},
		"subscription deleted": {func(t *testing.T, b *bundle) {
			require.NoError(t, subscription.Delete(b.ctx, b.repo, "stock"))
		}, []string{"schema stock holds its tables", "was deleted", "Rebuild it", "DROP SCHEMA stock CASCADE"}},
		"subscription deleted by SQL": {func(t *testing.T, b *bundle) {
			execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.subscriptions`)
		}, []string{"was deleted"}},
		"tables of another time": {func(t *testing.T, b *bundle) {
			execSQL(t, b.ctx, b.pool, `ALTER SCHEMA stock RENAME TO stock_backup`)
			require.NoError(t, subscription.Delete(b.ctx, b.repo, "stock"))
			caughtUp(t, b, projector(t, b, countsIn("stock", nil)))
			execSQL(t, b.ctx, b.pool, `DROP SCHEMA stock CASCADE; ALTER SCHEMA stock_backup RENAME TO stock`)
		}, []string{"its checkpoint is not about the tables in schema stock", "Rebuild it"}},
		"rebuild in place interrupted": {func(t *testing.T, b *bundle) {
			broken := countsIn("stock", nil)
			broken.Setup = func(_ context.Context, _ pgx.Tx, _ string) error { return errors.New("no room") }
			err := projector(t, b, broken).Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true})
			require.ErrorContains(t, err, "no room")
		}, []string{"its rebuild was interrupted", "Rebuild it again"}},
	} {
		for _, inPlace := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := setup(t, withMaxConns(16))
				given(t, b, "order-1", 10)
				p := projector(t, b, countsIn("stock", nil))
				caughtUp(t, b, p)
				requireNoRow(t, b, `SELECT projection, problem FROM eventstream.audit_projections WHERE problem IS NOT NULL`)
				c.separate(t, b)
				for _, err := range []error{p.Run(b.ctx), p.Create(b.ctx)} {
					require.ErrorIs(t, err, subscription.ErrProjectionMismatch)
					for _, says := range c.says {
						require.ErrorContains(t, err, says)
					}
				}
				// Nothing was applied to what is there, and the audit shows it where the projection still exists.
				if known := number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions WHERE rebuilds IS NULL`); known > 0 {
					require.Equal(t, known, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.audit_projections WHERE problem IS NOT NULL`))
				}
				require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace}))
				requireCounted(t, b, "stock.streams")
				given(t, b, "order-2", 5)
				caughtUp(t, b, p)
				requireCounted(t, b, "stock.streams")
				requireNoRow(t, b, `SELECT projection, problem FROM eventstream.audit_projections WHERE problem IS NOT NULL OR rebuild IS NOT NULL`)
			})
		}
	}
}

// Whoever drops both begins anew.
func TestProjectionWithoutEitherBeginsAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	p := projector(t, b, countsIn("stock", nil))
	caughtUp(t, b, p)
	require.NoError(t, subscription.Delete(b.ctx, b.repo, "stock"))
	execSQL(t, b.ctx, b.pool, `DROP SCHEMA stock CASCADE`)
	caughtUp(t, b, p)
	requireCounted(t, b, "stock.streams")
}

// What would part the two from SQL is refused there: a reset, another's checkpoint, going on with tables that are not complete, a checkpoint
// without tables.
func TestProjectionChangesThatWouldPartThem(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "order-1", 10)
	p := projector(t, b, countsIn("stock", nil))
	caughtUp(t, b, p)
	other := projector(t, b, countsIn("other", nil))
	require.NoError(t, other.Create(b.ctx))
	require.NoError(t, subscribe(t, b, "plain", handlerKinds["tx"](b, nil), nil).Create(b.ctx))

	err := subscription.Reset(b.ctx, b.repo, "stock", eventstream.FromBeginning)
	require.ErrorIs(t, err, subscription.ErrProjectionMismatch)
	require.ErrorContains(t, err, "Rebuild the projection")
	for _, by := range []string{"other", "plain"} {
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.replace_subscription('stock', $1)`, by)
		refusal := requireSQLState(t, err, "ES016")
		require.Contains(t, refusal.Message, "is not its rebuild")
	}
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.replace_subscription('plain', 'stock')`)
	requireSQLState(t, err, "ES011")
	// The rebuild of it, whose tables are not in place.
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.begin_rebuild('stock', 1, 1, '{}', false)`)
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.replace_subscription('stock', (SELECT name FROM eventstream.subscriptions WHERE rebuilds = 'stock'))`)
	refusal := requireSQLState(t, err, "ES016")
	require.Contains(t, refusal.Message, "does not hold the tables")

	execSQL(t, b.ctx, b.pool, `SELECT eventstream.begin_rebuild('stock', 1, 1, '{}', true)`)
	require.ErrorIs(t, subscription.Resume(b.ctx, b.repo, "stock"), subscription.ErrProjectionMismatch)
	require.NoError(t, subscription.Pause(b.ctx, b.repo, "stock"))
	for _, sql := range []string{
		`UPDATE eventstream.subscriptions SET tables_id = gen_random_uuid() WHERE name = 'plain'`,
		`UPDATE eventstream.subscriptions SET rebuilds = 'stock' WHERE name = 'plain'`,
	} {
		_, err := b.pool.Exec(b.ctx, sql)
		requireSQLState(t, err, "23514")
	}
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.subscribe('new', 1, 'projection', '{}', '{"from": "beginning"}')`)
	requireSQLState(t, err, "ES010")
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.hold_projection('unknown')`)
	requireSQLState(t, err, "ES010")
	require.NoError(t, p.Rebuild(b.ctx, nil))
	requireCounted(t, b, "stock.streams")
}

// A pause that a person asked for lasts through each kind of rebuild, an interrupted one too; what was not paused is not afterwards.
func TestProjectionRebuildKeepsAPause(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{true, false} {
		for _, inPlace := range []bool{true, false} {
			t.Run(fmt.Sprintf("Paused=%t/InPlace=%t", paused, inPlace), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				given(t, b, "order-1", 10)
				p := projector(t, b, countsIn("stock", nil))
				caughtUp(t, b, p)
				if paused {
					require.NoError(t, subscription.Pause(b.ctx, b.repo, "stock"))
				}
				execSQL(t, b.ctx, b.pool, `SELECT eventstream.begin_rebuild('stock', 1, 1, '{}', $1)`, inPlace)
				require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace}))
				requireCounted(t, b, "stock.streams")
				shards, err := subscription.List(b.ctx, b.repo)
				require.NoError(t, err)
				state := map[bool]subscription.ShardState{true: subscription.ShardPaused, false: subscription.ShardFree}[paused]
				require.Equal(t, state, shards[0].State)
				if paused {
					require.NoError(t, subscription.Resume(b.ctx, b.repo, "stock"))
				}
				given(t, b, "order-2", 10)
				caughtUp(t, b, p)
				requireCounted(t, b, "stock.streams")
			})
		}
	}
}

// Steps: a rebuild in place empties the tables and is interrupted; a process that runs the projection gets none of its shards.
func TestProjectionWithoutTablesIsOwnedByNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	require.NoError(t, projector(t, b, countsIn("stock", nil)).Create(b.ctx))
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.begin_rebuild('stock', 1, 1, '{}', true)`)
	execSQL(t, b.ctx, b.pool, `
		INSERT INTO eventstream.subscription_members (member_id, application, lease_until, subscriptions)
		VALUES (1, 'test', 'infinity', '{stock}')`)
	shares := func() int64 {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.fair_shares(1, '{1}', '{stock}')`)
	}
	require.Zero(t, shares())
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscriptions SET tables_id = gen_random_uuid() WHERE name = 'stock'`)
	require.Equal(t, int64(1), shares(), "with tables it has one")
}

// Steps: an event is parked; a rebuild in place begins and is interrupted; a replay of what was parked would count it twice.
func TestProjectionReplayDuringARebuildInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	p := poisoned(-1, 4)
	projection := countsIn("stock", quick(subscription.Park))
	apply := projection.Apply
	projection.Apply = func(ctx context.Context, tx pgx.Tx, schema string, events []eventstream.LogEvent) error {
		if err := p.decide(events); err != nil {
			return err
		}
		return apply(ctx, tx, schema, events)
	}
	live := projector(t, b, projection)
	caughtUp(t, b, live)
	require.Equal(t, []int64{4}, parkedPositions(t, b, "stock"))
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.begin_rebuild('stock', 1, 1, '{}', true)`)
	p.cure(4)
	replayed, err := live.ReplayParked(b.ctx)
	require.NoError(t, err)
	require.Zero(t, replayed)
	require.NoError(t, live.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true}))
	requireCounted(t, b, "stock.streams")
}
