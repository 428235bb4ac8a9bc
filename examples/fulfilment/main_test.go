package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// server is the one that all tests share; each has a database of its own.
var server *pgserver.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database is an empty one.
func database(t *testing.T) string {
	t.Helper()
	name := "fulfilment_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.Connect(t.Context(), server.DSN(""))
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	require.NoError(t, err)
	return server.DSN(name)
}

// Each order is shipped or cancelled, late parcels are told of once, and the board that was rebuilt meanwhile says what the events say; also on a
// second day.
func TestFulfilment(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	var out strings.Builder
	require.NoError(t, run(t.Context(), dsn, 40, &out))
	require.Contains(t, out.String(), "40 orders were placed, and 32 customers meant to pay; the board was rebuilt meanwhile.")
	require.Contains(t, out.String(), "Differences from the events: 0. Findings of the audit: 0.")
	require.NoError(t, run(t.Context(), dsn, 10, &out), "a second day")
	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	requireEnded(t, pool, 50)
	var delayed, timers int
	require.NoError(t, pool.QueryRow(t.Context(), `
		SELECT count(DISTINCT stream_id) FROM eventstream.events WHERE type = 'order.delayed'`).Scan(&delayed))
	require.Positive(t, delayed, "the warehouse takes its time for some")
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM eventstream.timers`).Scan(&timers))
	require.Zero(t, timers, "no timer is left of an order that has ended")
	require.ErrorContains(t, run(t.Context(), dsn, 1, &out), "-orders 1")
}

// requireEnded sees that each order has ended once, and in one way.
func requireEnded(t *testing.T, pool *pgxpool.Pool, orders int) {
	t.Helper()
	var all, wrong int
	require.NoError(t, pool.QueryRow(t.Context(), `
		SELECT count(*), count(*) FILTER (WHERE shipped + cancelled <> 1 OR paid <> shipped OR delayed > 1)
		FROM (
			SELECT count(*) FILTER (WHERE type = 'order.shipped') AS shipped, count(*) FILTER (WHERE type = 'order.cancelled') AS cancelled,
				count(*) FILTER (WHERE type = 'order.paid') AS paid, count(*) FILTER (WHERE type = 'order.delayed') AS delayed
			FROM eventstream.events WHERE eventstream.category(stream_id) = 'order' GROUP BY stream_id
		) AS o`).Scan(&all, &wrong))
	require.Equal(t, orders, all)
	require.Zero(t, wrong)
}

// Customers who pay as their time ends either pay, and get a parcel, or are told that they are too late: never both.
func TestPayingAtTheLastMoment(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), database(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	s, err := newShop(pool, patience{payment: 150 * time.Millisecond, packing: time.Minute})
	require.NoError(t, err)
	s.slow = func(eventstream.StreamID) bool { return false }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.runner.Run(ctx) }()
	require.NoError(t, s.board.Create(ctx))

	group, groupCtx := errgroup.WithContext(ctx)
	for n := range 40 {
		wait := time.Duration(100+rand.IntN(400)) * time.Millisecond
		group.Go(func() error {
			id := fmt.Sprintf("order-%d", n)
			if err := s.customer(groupCtx, id, 100, false); err != nil {
				return err
			}
			<-time.After(wait)
			if _, err := s.rules.Handle(groupCtx, s.repo, eventstream.StreamID(id), pay{}); err != nil && !errors.Is(err, errCancelled) {
				return err
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	settling, cancel := context.WithTimeout(ctx, settleTakes)
	defer cancel()
	require.NoError(t, s.settle(settling))
	stop()
	require.NoError(t, <-ended)
	requireEnded(t, pool, 40)
}

// The rules are tested without a database.
func TestRules(t *testing.T) {
	t.Parallel()
	events, err := newRegistry()
	require.NoError(t, err)
	test, placed := eventstreamtest.Rules[any, order](rules(events)), OrderPlaced{Cents: 5}
	test.Given(t, events).When(placed).Then(placed)
	test.Given(t, events, placed).When(placed).ThenError(errPlaced)
	test.Given(t, events).When(pay{}).ThenError(errNotPlaced)
	test.Given(t, events, placed).When(pay{}).Then(OrderPaid{})
	test.Given(t, events, placed, OrderPaid{}).When(pay{}).ThenError(errPaid)
	test.Given(t, events, placed, OrderCancelled{}).When(pay{}).ThenError(errCancelled)
}
