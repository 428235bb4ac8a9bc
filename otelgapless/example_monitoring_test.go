package otelgapless_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest/pgtest"
	"github.com/gaplesspg/gapless/otelgapless"
)

// docs:start
// observedStore is a repository that OpenTelemetry hears of. Where spans and metrics go is what otel.SetTracerProvider and
// otel.SetMeterProvider were told.
func observedStore(pool *pgxpool.Pool) (*eventstream.Repository, func() error, error) {
	tracer, err := otelgapless.NewTracer(nil)
	if err != nil {
		return nil, nil, err
	}
	store, err := otelgapless.ObserveStore(pool, nil)
	if err != nil {
		return nil, nil, err
	}
	connections, err := otelgapless.ObservePool(pool, "events", nil)
	if err != nil {
		return nil, nil, err
	}
	stop := func() error { return errors.Join(store.Unregister(), connections.Unregister()) }
	repo, err := eventstream.NewRepository(pool, &eventstream.Config{Tracer: tracer})
	return repo, stop, err
}

// docs:end

func TestExampleOfThePage(t *testing.T) {
	t.Parallel()
	repo, stop, err := observedStore(pgtest.Postgres(t))
	require.NoError(t, err)
	require.NoError(t, errOf(repo.Append(t.Context(), "order-1", eventstream.Empty, eventstream.EventOf("order.placed", 1))))
	require.NoError(t, stop())
}

func ExampleNewTracer() {
	tracer, err := otelgapless.NewTracer(nil)
	config := &eventstream.Config{Tracer: tracer}
	_, traces := config.Tracer.(eventstream.MetadataTracer)
	fmt.Println(traces, err)
	// Output: true <nil>
}
