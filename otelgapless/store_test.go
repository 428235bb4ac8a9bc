package otelgapless_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/otelgapless"
)

// What the tracer counts and times.
func TestTracerMeasuresWhatTheProcessDoes(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx := t.Context()
	event := o.append(ctx, t, "order-1")
	require.NoError(t, errOf(o.repo.Append(ctx, "order-1", eventstream.Any, event)))
	require.NoError(t, errOf(o.repo.Append(ctx, "order-1", eventstream.Any, eventstream.EventOf("a.b", 1), eventstream.EventOf("a.b", 2))))
	require.Error(t, errOf(o.repo.Append(ctx, "order-1", eventstream.Exact(7), eventstream.EventOf("a.b", 1))))
	require.NoError(t, errOf(o.repo.Load(ctx, "order-1")))
	require.NoError(t, o.handle(t, "mail", 3, func(context.Context, []eventstream.LogEvent) error { return nil }))
	require.Error(t, o.handle(t, "fails", 1, func(context.Context, []eventstream.LogEvent) error { return errors.New("no") }))
	m := o.collect(t)
	for outcome, count := range map[string]float64{"appended": 2, "duplicate": 1, "version_conflict": 1, "error": 0} {
		require.Equal(t, count, number(t, m["gapless.append.duration"], "gapless.outcome", outcome), outcome)
	}
	require.Equal(t, float64(3), number(t, m["gapless.append.events"]))
	require.Equal(t, float64(4), number(t, m["gapless.batch.duration"], "gapless.outcome", "done"))
	require.Equal(t, float64(4), number(t, m["gapless.batch.calls"]))
	require.Equal(t, float64(4), number(t, m["gapless.batch.events"]))
	require.Equal(t, float64(1), number(t, m["gapless.read.duration"], "gapless.operation", "load", "gapless.outcome", "done"))
	require.Equal(t, float64(3), number(t, m["gapless.read.events"], "gapless.operation", "load"))
	require.Equal(t, float64(1), number(t, m["gapless.handler.duration"], "gapless.subscription.name", "mail", "gapless.outcome", "done"))
	require.Equal(t, float64(3), number(t, m["gapless.handler.events"], "gapless.subscription.name", "mail"))
	require.Positive(t, number(t, m["gapless.handler.duration"], "gapless.subscription.name", "fails", "gapless.outcome", "error"))
}

func (o *observed) observe(t *testing.T, config otelgapless.StoreConfig) {
	t.Helper()
	config.MeterProvider = o.meters
	registration, err := otelgapless.ObserveStore(o.pool, &config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registration.Unregister()) })
}

// What the database knows of log and subscriptions.
func TestStoreMetricsSayHowFarSubscriptionsAre(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.observe(t, otelgapless.StoreConfig{MaxAge: time.Nanosecond})
	ctx := t.Context()
	for range 3 {
		o.append(ctx, t, "order-1")
	}
	require.NoError(t, o.handle(t, "mail", 3, func(context.Context, []eventstream.LogEvent) error { return nil }))
	sharded, err := subscription.New(o.repo, "sharded", subscription.EffectHandler(
		func(context.Context, []eventstream.LogEvent) error { return nil }), &subscription.Config{Shards: 2})
	require.NoError(t, err)
	require.NoError(t, sharded.Create(ctx))
	for range 2 {
		o.append(ctx, t, "order-1")
	}
	m := o.collect(t)
	require.Equal(t, float64(5), number(t, m["gapless.log.position"]))
	require.Equal(t, float64(5), number(t, m["gapless.log.stable_position"]))
	require.Equal(t, float64(5), number(t, m["gapless.log.events"]))
	require.Zero(t, number(t, m["gapless.log.unstable"])+number(t, m["gapless.log.held"]))
	require.Positive(t, number(t, m["gapless.log.size"]))
	mail := []string{"gapless.subscription.name", "mail", "gapless.subscription.shard", "0"}
	require.Equal(t, float64(2), number(t, m["gapless.subscription.lag.events"], mail...))
	require.Positive(t, number(t, m["gapless.subscription.lag.time"], mail...))
	require.Equal(t, float64(3), number(t, m["gapless.subscription.handled"], mail...))
	require.Zero(t, number(t, m["gapless.subscription.parked"], mail...)+number(t, m["gapless.subscription.tries"], mail...))
	require.Equal(t, float64(1), number(t, m["gapless.subscription.shards"], "gapless.subscription.name", "mail", "gapless.subscription.state", "free"))
	require.Equal(t, float64(2), number(t, m["gapless.subscription.shards"], "gapless.subscription.name", "sharded", "gapless.subscription.state", "free"))
	require.Zero(t, number(t, m["gapless.subscription.shards"], "gapless.subscription.name", "mail", "gapless.subscription.state", "owned"))
	lags := 0.0
	for _, shard := range []string{"0", "1"} {
		lags += number(t, m["gapless.subscription.lag.events"], "gapless.subscription.name", "sharded", "gapless.subscription.shard", shard)
	}
	require.Equal(t, float64(5), lags)
}

// A transaction that appended and does not end, a hole, and a handler that fails.
func TestStoreMetricsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.observe(t, otelgapless.StoreConfig{MaxAge: time.Nanosecond})
	ctx := t.Context()
	o.append(ctx, t, "order-1")
	require.Error(t, o.handle(t, "mail", 1, func(context.Context, []eventstream.LogEvent) error { return errors.New("no") }))
	parks, err := subscription.New(o.repo, "parks", subscription.EffectHandler(
		func(context.Context, []eventstream.LogEvent) error { return errors.New("no") }),
		&subscription.Config{MaxTries: 1, OnFailure: subscription.Park, Observer: func(subscription.Observation) {}})
	require.NoError(t, err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- parks.Run(running) }()
	require.NoError(t, parks.Create(ctx))
	require.NoError(t, parks.WaitFor(ctx, 1))
	stop()
	require.NoError(t, <-ended)
	late := eventstream.EventOf("order.placed", 1)
	late.Version = 2
	require.NoError(t, errOf(o.repo.Ingest(ctx, "far-1", late)))
	tx, err := o.pool.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, errOf(o.repo.WithTx(tx).Append(ctx, "order-2", eventstream.Any, eventstream.EventOf("a.b", 1))))
	m := o.collect(t)
	require.Equal(t, float64(1), number(t, m["gapless.log.unstable"]))
	require.Positive(t, number(t, m["gapless.log.held"]))
	require.Equal(t, float64(1), number(t, m["gapless.pending.events"]))
	require.Positive(t, number(t, m["gapless.pending.age"]))
	mail := []string{"gapless.subscription.name", "mail", "gapless.subscription.shard", "0"}
	require.Equal(t, float64(1), number(t, m["gapless.subscription.tries"], mail...))
	require.Positive(t, number(t, m["gapless.subscription.failing"], mail...))
	require.Equal(t, float64(1), number(t, m["gapless.subscription.parked"], "gapless.subscription.name", "parks", "gapless.subscription.shard", "0"))
	require.NoError(t, tx.Rollback(ctx))
}

// A projection, its rebuild while that runs, and tables that somebody marked as another's.
func TestStoreMetricsSayWhatProjectionsAre(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.observe(t, otelgapless.StoreConfig{MaxAge: time.Nanosecond})
	ctx := t.Context()
	o.append(ctx, t, "order-1")
	applying, goOn := make(chan struct{}), make(chan struct{})
	projector, err := subscription.NewProjector(o.repo, subscription.Projection{
		Name:  "totals",
		Setup: func(context.Context, pgx.Tx, string) error { return nil },
		Apply: func(_ context.Context, _ pgx.Tx, schema string, _ []eventstream.LogEvent) error {
			if schema != "totals" {
				close(applying)
				<-goOn
			}
			return nil
		},
	})
	require.NoError(t, err)
	require.NoError(t, projector.Create(ctx))
	rebuilt := make(chan error, 1)
	go func() { rebuilt <- projector.Rebuild(ctx, nil) }()
	<-applying
	m := o.collect(t)
	totals := []string{"gapless.subscription.name", "totals"}
	running := append(slices.Clone(totals), "gapless.projection.rebuild.state", "running")
	require.Equal(t, float64(1), number(t, m["gapless.projection.rebuilds"], running...))
	require.Equal(t, float64(1), number(t, m["gapless.projection.rebuild.lag"], totals...))
	require.Zero(t, number(t, m["gapless.projection.unfit"], totals...))
	close(goOn)
	require.NoError(t, <-rebuilt)
	_, err = o.pool.Exec(ctx, "COMMENT ON SCHEMA totals IS 'mine'")
	require.NoError(t, err)
	m = o.collect(t)
	require.Zero(t, number(t, m["gapless.projection.rebuilds"], running...))
	require.Equal(t, float64(1), number(t, m["gapless.projection.unfit"], totals...))
}

// However many collect, the database is asked once in MaxAge; while it is away, nothing is said, and the error is told.
func TestStoreIsAskedOnceInMaxAge(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.observe(t, otelgapless.StoreConfig{MaxAge: time.Hour})
	o.append(t.Context(), t, "order-1")
	require.Equal(t, float64(1), number(t, o.collect(t)["gapless.log.position"]))
	o.append(t.Context(), t, "order-1")
	require.Equal(t, float64(1), number(t, o.collect(t)["gapless.log.position"]))

	config := o.pool.Config()
	away, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	away.Close()
	_, err = otelgapless.ReadStore(t.Context(), away)
	require.ErrorContains(t, err, "cannot read the metrics of the store")
}

// What reads the store may be anybody with the rights of a reader, and asks one statement of the database.
func TestReadStoreNeedsTheRightsOfAReader(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx := t.Context()
	conn, err := o.pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	role := "reader_" + conn.Conn().Config().Database
	for _, sql := range []string{
		"CREATE ROLE " + role, "GRANT USAGE ON SCHEMA eventstream TO " + role, "GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO " + role, "SET ROLE " + role,
	} {
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err)
	}
	values, err := otelgapless.ReadStore(ctx, conn.Conn())
	require.NoError(t, err)
	require.NotEmpty(t, values)
	for _, sql := range []string{"RESET ROLE", "DROP OWNED BY " + role, "DROP ROLE " + role} {
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err)
	}
}

func TestPoolMetrics(t *testing.T) {
	t.Parallel()
	o := setup(t)
	registration, err := otelgapless.ObservePool(o.pool, "main", o.meters)
	require.NoError(t, err)
	conn, err := o.pool.Acquire(t.Context())
	require.NoError(t, err)
	m := o.collect(t)
	pool := []string{"db.client.connection.pool.name", "main"}
	require.Equal(t, float64(1), number(t, m["db.client.connection.count"], append(pool[:2:2], "db.client.connection.state", "used")...))
	require.Zero(t, number(t, m["db.client.connection.count"], append(pool[:2:2], "db.client.connection.state", "idle")...))
	require.Equal(t, float64(o.pool.Config().MaxConns), number(t, m["db.client.connection.max"], pool...))
	require.Positive(t, number(t, m["gapless.pool.opened"], pool...))
	require.GreaterOrEqual(t, number(t, m["gapless.pool.waits"], pool...)+number(t, m["gapless.pool.wait_time"], pool...)+number(t, m["gapless.pool.canceled"], pool...), 0.0)
	conn.Release()
	require.NoError(t, registration.Unregister())
	require.NotContains(t, o.collect(t), "db.client.connection.max")
}

func TestObserveRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := otelgapless.ObserveStore(nil, nil)
	require.ErrorContains(t, err, "pool is nil")
	_, err = otelgapless.ObservePool(nil, "", nil)
	require.ErrorContains(t, err, "pool is nil")
	_, err = otelgapless.ObserveStore(new(pgxpool.Pool), &otelgapless.StoreConfig{MaxAge: -1})
	require.ErrorContains(t, err, "0s or more")
}

// Every metric of the list is measured, as listed, and under the name for Prometheus that OpenTelemetry's own translation gives it.
func TestEveryMetricIsListedAsItIs(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.observe(t, otelgapless.StoreConfig{})
	registration, err := otelgapless.ObservePool(o.pool, "main", o.meters)
	require.NoError(t, err)
	defer func() { require.NoError(t, registration.Unregister()) }()
	o.append(t.Context(), t, "order-1")
	require.NoError(t, errOf(o.repo.Load(t.Context(), "order-1")))
	require.NoError(t, o.handle(t, "mail", 1, func(context.Context, []eventstream.LogEvent) error { return nil }))
	projector, err := subscription.NewProjector(o.repo, subscription.Projection{
		Name:  "totals",
		Setup: func(context.Context, pgx.Tx, string) error { return nil },
		Apply: func(context.Context, pgx.Tx, string, []eventstream.LogEvent) error { return nil },
	})
	require.NoError(t, err)
	require.NoError(t, projector.Create(t.Context()))
	measured := o.collect(t)
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	kinds := map[otelgapless.Kind]otlptranslator.MetricType{
		otelgapless.Gauge: otlptranslator.MetricTypeGauge, otelgapless.Counter: otlptranslator.MetricTypeMonotonicCounter,
		otelgapless.Histogram: otlptranslator.MetricTypeHistogram,
	}
	for _, m := range otelgapless.Metrics() {
		name, err := namer.Build(otlptranslator.Metric{Name: m.Name, Unit: m.Unit, Type: kinds[m.Kind]})
		require.NoError(t, err)
		require.Equal(t, name, m.PrometheusName())
		got, found := measured[m.Name]
		delete(measured, m.Name)
		if m.Name == "gapless.projection.rebuild.lag" {
			continue // while a rebuild runs: TestStoreMetricsSayWhatProjectionsAre
		}
		require.True(t, found, m.Name)
		require.Equal(t, m.Unit, got.Unit)
		require.Equal(t, m.Description, got.Description)
		requireKind(t, m, got.Data)
	}
	require.Empty(t, measured, "metrics that are not listed")
}
