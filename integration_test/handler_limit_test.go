package integration_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// txHandle is a handler, as far as it has a transaction.
type txHandle func(ctx context.Context, tx pgx.Tx) error

// handledWithin are the ways in which a transaction of the store comes to a handler that has a time. Each returns once the handler has returned nil.
var handledWithin = map[string]func(t *testing.T, b *bundle, limit time.Duration, handle txHandle){
	"subscription": func(t *testing.T, b *bundle, limit time.Duration, handle txHandle) {
		given(t, b, "a-1", 1)
		s := subscribe(t, b, "reader", subscription.TxHandler(handle.events), withinTime(subscription.Stop, limit))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
	},
	"replay": func(t *testing.T, b *bundle, limit time.Duration, handle txHandle) {
		given(t, b, "a-1", 1)
		fails := txHandle(func(context.Context, pgx.Tx) error { return subscription.Permanent(errors.New("parked")) })
		s := subscribe(t, b, "reader", subscription.TxHandler(fails.events), quick(subscription.Park))
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop()
		s = subscribe(t, b, "reader", subscription.TxHandler(handle.events), withinTime(subscription.Park, limit))
		require.Eventually(t, func() bool { n, _ := s.ReplayParked(b.ctx); return n == 1 }, blockTimeout, time.Millisecond)
	},
	"timers": func(t *testing.T, b *bundle, limit time.Duration, handle txHandle) {
		config := quickTimers(t)
		config.HandlerTimeout, config.MaxTries = limit, 1000
		run1(t, b, newTimers(t, b, func(ctx context.Context, tx pgx.Tx, _ process.Timer) error { return handle(ctx, tx) }, config))
		require.NoError(t, process.At(b.ctx, b.repo, reminder("a"), time.Now(), nil))
		awaitSQL(t, b, "0", `SELECT count(*)::text FROM eventstream.timers`)
	},
}

func (f txHandle) events(ctx context.Context, tx pgx.Tx, _ []eventstream.LogEvent) error {
	return f(ctx, tx)
}

func withinTime(policy subscription.FailurePolicy, limit time.Duration) *subscription.Config {
	config := quick(policy)
	config.HandlerTimeout = limit
	return config
}

// A statement ends at the server too once the time of its handler is over, though the request to cancel it is lost.
func TestHandlerTimeoutEndsTheStatement(t *testing.T) {
	t.Parallel()
	for way, run := range handledWithin {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			execSQL(t, b.ctx, session(t, b), `SELECT pg_advisory_lock(1)`) // for as long as the test lasts
			waited := false
			run(t, anotherProcess(t, b, nil, withoutCancelRequests), 50*time.Millisecond, func(ctx context.Context, tx pgx.Tx) error {
				if waited {
					return nil
				}
				waited = true
				_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(1)`)
				return err
			})
			require.True(t, waited)
			awaitSQL(t, b, "0", `
				SELECT count(*)::text FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'active' AND query = 'SELECT pg_advisory_xact_lock(1)'`)
		})
	}
}

// Of a session's statement_timeout and the time of the handler, with a second more, the shorter one holds.
func TestHandlerTimeoutKeepsAShorterStatementTimeout(t *testing.T) {
	t.Parallel()
	for way, run := range handledWithin {
		for own, want := range map[string]string{"0": "1min", "1h": "1min", "1min": "1min", "59500": "59500ms", "30s": "30s"} {
			t.Run(way+" "+own, func(t *testing.T) {
				t.Parallel()
				b := setup(t, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = own })
				var held string
				run(t, b, 59*time.Second, func(ctx context.Context, tx pgx.Tx) error {
					return tx.QueryRow(ctx, `SELECT current_setting('statement_timeout')`).Scan(&held)
				})
				require.Equal(t, want, held)
			})
		}
	}
}

// withoutCancelRequests loses each request to cancel a statement on its way.
func withoutCancelRequests(c *pgxpool.Config) {
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &uncancelling{Conn: conn}, err
	}
}

type uncancelling struct{ net.Conn }

func (c *uncancelling) Write(p []byte) (int, error) {
	const cancelRequest = 80877102 // of the protocol, by which it begins after its length
	if len(p) == 16 && binary.BigEndian.Uint32(p[4:]) == cancelRequest {
		return len(p), c.Close()
	}
	return c.Conn.Write(p)
}
