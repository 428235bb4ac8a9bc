package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// countsIn is counts under another name.
func countsIn(name string, config *subscription.Config) subscription.Projection {
	p := counts(config)
	p.Name = name
	return p
}

// caughtUp runs a projection until it has handled everything there is, and stops it.
func caughtUp(t testing.TB, b *bundle, p *subscription.Projector) {
	t.Helper()
	stop := keepRunning(t, b, p)
	require.NoError(t, p.WaitFor(b.ctx, drawn(t, b)))
	stop()
}

// What a user has under the names that a rebuild could think of stays as it is, with all that depends on it.
func TestProjectionRebuildTouchesNothingOfOthers(t *testing.T) {
	t.Parallel()
	for _, inPlace := range []bool{false, true} {
		b := setup(t, withMaxConns(16))
		given(t, b, "order-1", 5)
		execSQL(t, b.ctx, b.pool, `
			CREATE SCHEMA orders_old; CREATE TABLE orders_old.kept AS SELECT 1 AS n;
			CREATE VIEW public.depends AS SELECT n FROM orders_old.kept;
			CREATE SCHEMA orders_rebuild; CREATE TABLE orders_rebuild.kept AS SELECT 2 AS n`)
		b = withHandled(t, b)
		mine := subscribe(t, b, "orders:rebuild", handlerKinds["tx"](b, nil), nil)
		stop := keepRunning(t, b, mine)
		awaitCheckpoint(t, b, mine)
		stop()
		// Other projections, whose names look as if they were made of this one's.
		others := []string{"orders_rebuild2", "orders_new", "orders_old2"}
		for _, name := range others {
			caughtUp(t, b, projector(t, b, countsIn(name, nil)))
		}

		p := projector(t, b, countsIn("orders", nil))
		caughtUp(t, b, p)
		require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: inPlace}))
		requireCounted(t, b, "orders.streams")
		require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT (SELECT n FROM public.depends) + (SELECT n FROM orders_rebuild.kept)`))
		for _, name := range others {
			requireCounted(t, b, name+".streams")
		}
		require.Equal(t, int64(5), number(t, b.ctx, b.pool,
			`SELECT min(position) FROM eventstream.subscription_shards WHERE subscription = 'orders:rebuild'`), "a user's subscription")
		require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_namespace WHERE nspname ~ '^_orders_'`), "nothing is left")
	}
}

// A projection stock and one called stock_rebuild live beside each other, whichever is rebuilt.
func TestProjectionsWithNamesAlikeDoNotMeet(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 5)
	var all []*subscription.Projector
	for _, name := range []string{"stock", "stock_rebuild", "stock_old", "stock_rebuild_rebuild"} {
		p := projector(t, b, countsIn(name, nil))
		caughtUp(t, b, p)
		all = append(all, p)
	}
	for _, p := range all {
		require.NoError(t, p.Rebuild(b.ctx, nil))
		for _, other := range all {
			requireCounted(t, b, other.Name()+".streams")
		}
	}
	given(t, b, "order-2", 5)
	for _, p := range all {
		caughtUp(t, b, p)
		requireCounted(t, b, p.Name()+".streams")
	}
}

// Steps: a schema that is not marked as the projection's is under one of its names; each way to use the projection is refused, says so, and
// changes nothing. A mark of another projection is none, neither is one that was written by hand with something else.
func TestProjectionRefusesSchemasOfOthers(t *testing.T) {
	t.Parallel()
	for name, comment := range map[string]string{
		"no comment":                  ``,
		"a comment":                   `stock of the warehouse`,
		"another projection's mark":   `Gapless projection orders, tables 11111111-2222-3333-4444-555555555555`,
		"a mark with more behind it":  `Gapless projection stock, tables 11111111-2222-3333-4444-555555555555.`,
		"a mark with more before it":  `Old: Gapless projection stock, tables 11111111-2222-3333-4444-555555555555`,
		"a mark without an id":        `Gapless projection stock, tables `,
		"a uuid with nothing else":    `11111111-2222-3333-4444-555555555555`,
		"a projection with that tail": `Gapless projection , tables stock, tables 11111111-2222-3333-4444-555555555555`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 5)
			foreign := func(schema string) {
				execSQL(t, b.ctx, b.pool, `CREATE SCHEMA `+schema+`; CREATE TABLE `+schema+`.kept AS SELECT 1 AS n`)
				if comment != "" {
					execSQL(t, b.ctx, b.pool, `COMMENT ON SCHEMA `+schema+` IS '`+comment+`'`)
				}
			}
			p := projector(t, b, countsIn("stock", nil))
			refused := func(schema string, errs ...error) {
				t.Helper()
				for _, err := range errs {
					var mismatch *subscription.ProjectionMismatchError
					require.ErrorAs(t, err, &mismatch)
					require.ErrorIs(t, err, subscription.ErrProjectionMismatch)
					require.ErrorContains(t, err, `"stock"`)
					require.ErrorContains(t, err, schema)
					require.ErrorContains(t, err, "Rename or drop the schema")
				}
				require.Equal(t, int64(1), number(t, b.ctx, b.pool, `SELECT n FROM `+schema+`.kept`))
			}
			rebuildBoth := func() []error {
				return []error{p.Rebuild(b.ctx, nil), p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true})}
			}
			foreign("stock")
			refused("stock", append(rebuildBoth(), p.Create(b.ctx), p.Run(b.ctx))...)
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions`), "nothing is left of it")
			execSQL(t, b.ctx, b.pool, `DROP SCHEMA stock CASCADE`)
			caughtUp(t, b, p)
			for _, schema := range []string{"_stock_rebuild", "_stock_old"} {
				foreign(schema)
				refused(schema, rebuildBoth()...)
				requireCounted(t, b, "stock.streams")
				execSQL(t, b.ctx, b.pool, `DROP SCHEMA `+schema+` CASCADE`)
			}
			require.NoError(t, p.Rebuild(b.ctx, nil))
			requireCounted(t, b, "stock.streams")
		})
	}
}

// A subscription that is no projection keeps its name: its checkpoint is not shared, moved or deleted.
func TestProjectionAndSubscriptionOfOneName(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "order-1", 5)
	plain := subscribe(t, b, "stock", handlerKinds["tx"](b, nil), nil)
	stop := keepRunning(t, b, plain)
	awaitCheckpoint(t, b, plain)
	stop()
	p := projector(t, b, countsIn("stock", nil))
	for _, err := range []error{p.Run(b.ctx), p.Rebuild(b.ctx, nil), p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true})} {
		require.ErrorIs(t, err, subscription.ErrMismatch)
		require.ErrorContains(t, err, "delivery transaction, now projection")
	}
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_namespace WHERE nspname IN ('stock', '_stock_rebuild')`))
	require.Equal(t, int64(5), number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards WHERE NOT EXISTS (
		SELECT FROM eventstream.subscriptions WHERE paused)`))

	other := projector(t, b, countsIn("counts", nil))
	caughtUp(t, b, other)
	thief := subscribe(t, b, "counts", handlerKinds["tx"](b, nil), nil)
	require.ErrorIs(t, thief.Run(b.ctx), subscription.ErrMismatch, "it would take the projection's events")
}

// What PostgreSQL, the event store and everybody else live in can be no projection, in Go and in SQL.
func TestProjectionReservedNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, valid := range map[string]bool{
		"stock": true, "s": true, "stock_rebuild": true, "public2": true, "pgstock": true, "a234567890123456789012345678901234567890": true,
		"public": false, "eventstream": false, "information_schema": false, "pg_catalog": false, "pg_toast": false, "pg_temp": false,
		"pg_mine": false, "pg_": false, "": false, "_stock_rebuild": false, "Stock": false, "stock-1": false, "stock:rebuild": false,
		"1stock": false, "a2345678901234567890123456789012345678901": false, "stöck": false, "stock\n": false,
	} {
		_, err := subscription.NewProjector(b.repo, countsIn(name, nil))
		_, refused := b.pool.Exec(b.ctx, `SELECT eventstream.create_projection($1, 1, '{}', '{"from": "beginning"}')`, name)
		if valid {
			require.NoError(t, err, name)
			require.NoError(t, refused, name)
			continue
		}
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		require.ErrorContains(t, err, "it names a schema", name)
		requireSQLState(t, refused, "23514")
	}
}

// Setup cannot leave half of a projection behind: an error, a panic, a COMMIT of its own, an error that it swallows.
func TestProjectionSetupMisbehaves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		setup func(ctx context.Context, tx pgx.Tx) error
		says  string
	}{
		"fails": {func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT 1 FROM missing.things`)
			return err
		}, `relation "missing.things" does not exist`},
		"panics":            {func(context.Context, pgx.Tx) error { panic("no idea") }, "no idea"},
		"commits":           {func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) }, "ended its transaction"},
		"ends and begins":   {func(ctx context.Context, tx pgx.Tx) error { return simpleErr(ctx, tx.Conn(), `ROLLBACK; BEGIN`) }, "ended its transaction"},
		"swallows an error": {func(ctx context.Context, tx pgx.Tx) error { _ = simpleErr(ctx, tx.Conn(), `SELECT 1/0`); return nil }, "had failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 1)
			broken := countsIn("stock", nil)
			broken.Setup = func(ctx context.Context, tx pgx.Tx, _ string) error { return c.setup(ctx, tx) }
			err := projector(t, b, broken).Run(b.ctx)
			require.ErrorContains(t, err, c.says)
			require.NotErrorIs(t, err, eventstream.ErrNotMigrated, "it is the table of the user's that is missing")
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_namespace WHERE nspname = 'stock'`))
			p := projector(t, b, countsIn("stock", nil))
			caughtUp(t, b, p)
			require.ErrorContains(t, projector(t, b, broken).Rebuild(b.ctx, nil), c.says)
			requireCounted(t, b, "stock.streams")
			require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{}))
		})
	}
}

// A role that has what docs/design.md says, and no more, runs and rebuilds projections.
func TestARebuilderNeedsTheRightsThatTheDesignNames(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	given(t, b, "order-1", 5)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `
		GRANT USAGE ON SCHEMA eventstream TO `+role+`;
		GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role+`;
		GRANT EXECUTE ON FUNCTION eventstream.subscribe, eventstream.claim_shards, eventstream.release_shard, eventstream.move_checkpoint,
			eventstream.move_idle_checkpoints, eventstream.park_events, eventstream.advance_stable_position, eventstream.create_projection TO `+role)
	p, err := subscription.NewProjector(asRole(t, b, role), counts(&subscription.Config{MaxTries: 1, MinBackoff: time.Millisecond}))
	require.NoError(t, err)
	require.ErrorContains(t, p.Create(b.ctx), "permission denied")

	// Whoever may create schemas creates it; who runs it needs rights on the tables.
	creator := projector(t, b, counts(nil))
	require.NoError(t, creator.Create(b.ctx))
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA counts TO `+role+`; GRANT SELECT, INSERT, UPDATE ON counts.streams TO `+role)
	caughtUp(t, b, p)
	requireCounted(t, b, "counts.streams")
	require.ErrorContains(t, p.Rebuild(b.ctx, nil), "permission denied")

	execSQL(t, b.ctx, b.pool, `DROP SCHEMA counts CASCADE; DELETE FROM eventstream.subscriptions;
		GRANT EXECUTE ON FUNCTION eventstream.begin_rebuild, eventstream.hold_projection, eventstream.replace_subscription TO `+role+`;
		GRANT CREATE ON DATABASE `+pgx.Identifier{b.pool.Config().ConnConfig.Database}.Sanitize()+` TO `+role)
	caughtUp(t, b, p)
	require.NoError(t, p.Rebuild(b.ctx, nil))
	require.NoError(t, p.Rebuild(b.ctx, &subscription.RebuildOptions{InPlace: true}))
	requireCounted(t, b, "counts.streams")

	// What operators request is taken up with two more.
	other := connect(t, b.dsn, role)
	_, err = other.Exec(b.ctx, `SELECT eventstream.request_rebuild('counts')`)
	requireSQLState(t, err, "42501")
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION eventstream.take_rebuild, eventstream.end_rebuild TO `+role)
	requestRebuild(t, b, nil)
	stop := keepRunning(t, b, p)
	awaitSQL(t, b, "done 1", `SELECT concat_ws(' ', request_state, takes) FROM eventstream.audit_projections`)
	stop()
	requireCounted(t, b, "counts.streams")
}
