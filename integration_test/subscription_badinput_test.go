package integration_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

var nothing = subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil })

// Whatever is done to a subscription that nobody has created is refused, and names it.
func TestSubscriptionUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "a-1", 1)
	s := subscribe(t, b, "nobody", nothing, nil)
	inTx(t, b, func(tx pgx.Tx) {
		for name, call := range map[string]func() error{
			"WaitFor":  func() error { return s.WaitFor(b.ctx, 1) },
			"Skip":     func() error { return subscription.SkipEvent(b.ctx, b.repo, "nobody", 1, "why") },
			"Reshard":  func() error { return subscription.Reshard(b.ctx, b.repo, "nobody", 2) },
			"Reset":    func() error { return subscription.Reset(b.ctx, b.repo, "nobody", eventstream.FromLatest) },
			"Delete":   func() error { return subscription.Delete(b.ctx, b.repo, "nobody") },
			"Pause":    func() error { return subscription.Pause(b.ctx, b.repo, "nobody") },
			"SkipTx":   func() error { return subscription.SkipEvent(b.ctx, b.repo.WithTx(tx), "nobody", 1, "why") },
			"ReshTx":   func() error { return subscription.Reshard(b.ctx, b.repo.WithTx(tx), "nobody", 2) },
			"ResetTx":  func() error { return subscription.Reset(b.ctx, b.repo.WithTx(tx), "nobody", eventstream.FromLatest) },
			"DeleteTx": func() error { return subscription.Delete(b.ctx, b.repo.WithTx(tx), "nobody") },
			"PauseTx":  func() error { return subscription.Pause(b.ctx, b.repo.WithTx(tx), "nobody") },
		} {
			execSQL(t, b.ctx, tx, `SAVEPOINT s`)
			err := call()
			execSQL(t, b.ctx, tx, `ROLLBACK TO s`)
			var unknown *subscription.NotFoundError
			require.ErrorAs(t, err, &unknown, name)
			require.ErrorIs(t, err, subscription.ErrNotFound, name)
			require.Equal(t, "nobody", unknown.Name, name)
			require.EqualError(t, err, `subscription "nobody" not found: check its name, or run it to create it`, name)
		}
	})
	lag, err := s.Lag(b.ctx)
	require.NoError(t, err)
	require.Empty(t, lag)
	require.Empty(t, readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "nobody")))
}

// A name belongs to one configuration: another one is refused, and told what differs.
func TestSubscriptionTwoConfigurationsUnderOneName(t *testing.T) {
	t.Parallel()
	b := setup(t)
	filter := eventstream.LogFilter{Types: []eventstream.EventType{"b", "a", "b"}, Category: "order"}
	keepRunning(t, b, subscribe(t, b, "reader", nothing, &subscription.Config{Shards: 4, Filter: filter}))
	other := anotherProcess(t, b, nil)
	for name, c := range map[string]struct {
		handler    subscription.Handler
		config     subscription.Config
		difference string
	}{
		"Shards":   {nothing, subscription.Config{Shards: 3, Filter: filter}, `shard count 4, now 3`},
		"Delivery": {handlerKinds["tx"](b, nil), subscription.Config{Shards: 4, Filter: filter}, `delivery acknowledged, now transaction`},
		"Filter": {
			nothing,
			subscription.Config{Shards: 4},
			`filter {"types": ["a", "b"], "category": "order"}, now {}`,
		},
		"OtherFilter": {
			nothing,
			subscription.Config{Shards: 4, Filter: eventstream.LogFilter{Types: filter.Types, Category: "offer"}},
			`filter {"types": ["a", "b"], "category": "order"}, now {"types": ["a", "b"], "category": "offer"}`,
		},
	} {
		err := subscribe(t, other, "reader", c.handler, &c.config).Run(b.ctx)
		var mismatch *subscription.MismatchError
		require.ErrorAs(t, err, &mismatch, name)
		require.ErrorIs(t, err, subscription.ErrMismatch, name)
		require.Equal(t, subscription.MismatchError{Name: "reader", Difference: c.difference}, *mismatch)
		require.ErrorContains(t, err, `subscription "reader" was created with `+c.difference)
	}
	// The same in another order is the same.
	same := eventstream.LogFilter{Types: []eventstream.EventType{"a", "b"}, Category: "order"}
	run1(t, other, subscribe(t, other, "reader", subscription.AsyncHandler(newJournal().async), &subscription.Config{
		Shards: 4, Filter: same, From: eventstream.FromLatest,
	}))
	awaitSQL(t, b, "2 2", shares, "reader")
}

// One repository runs a subscription once at a time, whoever describes it; the one that runs goes on.
func TestSubscriptionRunsOnceInARepository(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := newJournal()
	s := subscribe(t, b, "reader", subscription.EffectHandler(j.effect), nil)
	stop := keepRunning(t, b, s)
	awaitSQL(t, b, "owned", `SELECT state FROM eventstream.audit_subscriptions`) // being there is not running yet
	for _, again := range []*subscription.Subscription{s, subscribe(t, b, "reader", nothing, nil)} {
		err := again.Run(b.ctx)
		require.ErrorIs(t, err, subscription.ErrRunning)
		require.ErrorContains(t, err, `"reader"`)
	}
	given(t, b, "a-1", 3)
	j.waitCount(t, b.ctx, 3)
	awaitCheckpoint(t, b, s)
	stop()
	given(t, b, "b-1", 3)
	keepRunning(t, b, s)
	j.waitCount(t, b.ctx, 6)
	requireGapless(t, b, j.all())
}

// New refuses what could never run, without asking the database.
func TestSubscriptionBadDescriptions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	refused := func(field string, repo *eventstream.Repository, name string, handler subscription.Handler, config *subscription.Config) {
		t.Helper()
		_, err := subscription.New(repo, name, handler, config)
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, err, &invalid, field)
		require.Equal(t, field, invalid.Field)
		require.NotEmpty(t, invalid.Rule)
	}
	for _, name := range []string{
		"", " ", "1", "-a", "_a", ":a", "a b", "a\n", "a\x00", "ä", "a\xff", strings.Repeat("a", 129), "a'", `a"`, "a;b", "a,b",
	} {
		refused("subscription name", b.repo, name, nothing, nil)
		_, err := b.pool.Exec(b.ctx, `SELECT eventstream.subscribe($1, 1, 'transaction', '{}', '{"from": "latest"}')`, name)
		require.Error(t, err, "the database has the same rule: %q", name)
	}
	for _, name := range []string{"a", "A", "orders-by-day", "v2:orders.daily/eu_1", strings.Repeat("a", 128)} {
		keepRunning(t, b, subscribe(t, b, name, nothing, nil))
	}
	for _, handler := range []subscription.Handler{nil, subscription.TxHandler(nil), subscription.EffectHandler(nil), subscription.AsyncHandler(nil)} {
		refused("handler", b.repo, "reader", handler, nil)
	}
	conn := session(t, b)
	refused("repository", nil, "reader", nothing, nil)
	refused("repository", repoOn(t, conn), "reader", nothing, nil)
	inTx(t, b, func(tx pgx.Tx) { refused("repository", repoOn(t, tx), "reader", nothing, nil) })

	type config = subscription.Config
	for field, bad := range map[string][]config{
		"subscription.Config.Shards":     {{Shards: -1}, {Shards: 32769}},
		"subscription.Config.BatchSize":  {{BatchSize: -1}, {BatchSize: 10_001}},
		"subscription.Config.Window":     {{Window: -1}, {Window: 1001}},
		"subscription.Config.MaxTries":   {{MaxTries: -1}, {MaxTries: 1_000_001}},
		"subscription.Config.OnFailure":  {{OnFailure: -1}, {OnFailure: 3}},
		"subscription.Config.MinBackoff": {{MinBackoff: -1}},
		"subscription.Config.MaxBackoff": {{MaxBackoff: -1}, {MinBackoff: time.Second, MaxBackoff: time.Millisecond}},
		"LogFilter.Partitions":           {{Filter: eventstream.LogFilter{Partitions: []int{-1}}}, {Filter: eventstream.LogFilter{Partitions: []int{32768}}}},
		"LogFilter.Category":             {{Filter: eventstream.LogFilter{Category: " "}}},
		"tenant_id":                      {{Filter: eventstream.LogFilter{Tenant: "a b"}}},
		"event_type":                     {{Filter: eventstream.LogFilter{Types: []eventstream.EventType{" "}}}},
	} {
		for _, c := range bad {
			refused(field, b.repo, "reader", nothing, &c)
		}
	}
	_, err := subscription.New(b.repo, "reader", nothing, &config{BatchSize: 10_001})
	require.EqualError(t, err, `invalid subscription.Config.BatchSize "10001": must be from 1 to 10000, or 0 for the default`)
}

// What only the store's partition count tells is refused by Run, and by the database.
func TestSubscriptionBeyondThePartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for field, config := range map[string]subscription.Config{
		"shard count":          {Shards: 33},
		"LogFilter.Partitions": {Filter: eventstream.LogFilter{Partitions: []int{32}}},
		"start partition":      {From: eventstream.FromPartitionSequences(map[int]int64{32: 1})},
	} {
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, subscribe(t, b, "reader", nothing, &config).Run(b.ctx), &invalid)
		require.Equal(t, field, invalid.Field)
	}
	keepRunning(t, b, subscribe(t, b, "reader", nothing, &subscription.Config{Shards: 32}))
	for _, shards := range []int{-1, 0, 33} {
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, subscription.Reshard(b.ctx, b.repo, "reader", shards), &invalid)
		require.Equal(t, "shard count", invalid.Field)
		require.Contains(t, invalid.Rule, "from 1 to 32")
	}
	require.Error(t, subscription.Reset(b.ctx, b.repo, "reader", nil))
}

// The pool and the repository's config are checked before anything runs.
func TestSubscriptionNeedsConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var invalid *eventstream.InvalidValueError
	for field, bad := range map[string][]eventstream.Config{
		"Config.Connections":  {{Connections: -1}, {Connections: 2}, {Connections: 1001}, {Connections: 3, Notify: true}},
		"Config.Lease":        {{Lease: -1}, {Lease: time.Second - 1}},
		"Config.MaxReadBytes": {{MaxReadBytes: -1}, {MaxReadBytes: 1<<20 - 1}},
	} {
		for _, c := range bad {
			_, err := eventstream.NewRepository(b.pool, &c)
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, field, invalid.Field)
		}
	}
	small := anotherProcess(t, b, nil, withMaxConns(2))
	err := subscribe(t, small, "reader", nothing, nil).Run(b.ctx)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "pool size", invalid.Field)
	require.EqualError(t, err, `invalid pool size "2": must be MaxConns of 3 or more to run subscriptions, better more than 5`)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.subscriptions`))

	// Three are enough, also for many subscriptions with handlers that keep theirs.
	least := anotherProcess(t, withHandled(t, b), nil, withMaxConns(3))
	given(t, b, "a-1", 20)
	for i := range 5 {
		s := subscribe(t, least, "reader-"+string(rune('a'+i)), handlerKinds["tx"](b, nil), &subscription.Config{Shards: 4})
		run1(t, least, s)
		awaitCheckpoint(t, b, s)
	}
}

// On a standby, and wherever else nothing can be written, Run says so, whether the subscription is there or not.
func TestSubscriptionReadOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "a-1", 1)
	readOnly := anotherProcess(t, b, nil, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" })
	for range 2 {
		err := subscribe(t, readOnly, "reader", nothing, nil).Run(b.ctx)
		require.ErrorIs(t, err, eventstream.ErrReadOnly)
		requireSQLState(t, err, "25006")
		keepRunning(t, b, subscribe(t, b, "reader", nothing, nil))()
	}
}

// A checkpoint that the log has not reached comes from elsewhere: to go on from it would leave out what is still to come.
func TestSubscriptionCheckpointBeyondTheEnd(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		given(t, b, "a-1", 5)
		s := subscribe(t, b, "reader", handlerKinds[kind](b, nil), nil)
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop()
		execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_shards SET position = 7`)
		err := run1(t, b, s).wait(t, b)
		var beyond *eventstream.BeyondLogError
		require.ErrorAs(t, err, &beyond)
		require.Equal(t, eventstream.BeyondLogError{Field: "checkpoint", Value: 7, Last: 5}, *beyond)
		require.NoError(t, subscription.Reset(b.ctx, b.repo, "reader", eventstream.FromPosition(6)))
		given(t, b, "b-1", 5)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b)
	})
}
