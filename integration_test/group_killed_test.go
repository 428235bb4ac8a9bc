package integration_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// killAppends ends the sessions that wait for locks in an append, again and again until done.
func (s *scene) killAppends(done func() bool) {
	s.t.Helper()
	waitFor(s.t, func() bool {
		execSQL(s.t, s.b.ctx, s.b.pool, `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%append_batch%'`)
		return done()
	}, func() string { return "the calls go on\n" + sessionsOf(s.b) })
}

// The server ends the session of a batch: each caller hears that trying again is safe, and after that every event is there once.
func TestGroupBackendOfABatchIsKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	const calls = 6
	events := make([][]eventstream.Event, calls)
	waiting := make([]<-chan appended, calls)
	for i := range calls {
		events[i] = append(someEvents(t, i%3), anEvent(t, gated))
		waiting[i] = s.gatherAppend(s.b.ctx, eventstream.Any, events[i]...)
	}
	next := s.releaseInto()
	s.killAppends(func() bool { return len(waiting[calls-1]) == 1 })
	for _, done := range waiting {
		got := <-done
		require.Zero(t, got.value)
		requireSQLState(t, got.err, "57P01")
		require.True(t, eventstream.SafeToRetry(got.err))
	}
	next.end(t, s.b)
	require.Equal(t, int64(2), number(t, s.b.ctx, s.b.pool, `SELECT count(*) FROM eventstream.events`))
	s.retryAll(events)
}

// retryAll tries appends again, all at the same time and twice each, and demands that every event is there once.
func (s *scene) retryAll(events [][]eventstream.Event) {
	s.t.Helper()
	var group errgroup.Group
	total := int64(2)
	for _, e := range events {
		total += int64(len(e))
		for range 2 {
			group.Go(func() error {
				_, err := s.repo.Append(s.b.ctx, hot, eventstream.Any, e...)
				return err
			})
		}
	}
	require.NoError(s.t, group.Wait())
	require.Equal(s.t, total, number(s.t, s.b.ctx, s.b.pool, `SELECT count(*) FROM eventstream.events`))
	for _, e := range events {
		again, err := s.repo.Append(s.b.ctx, hot, eventstream.Empty, e...)
		require.NoError(s.t, err)
		require.True(s.t, again.Duplicate)
	}
	requireAuditClean(s.t, s.b)
}

// The batch commits and its answer is lost: each caller hears that trying again is safe, and that gives a duplicate.
func TestGroupAnswerOfABatchIsLost(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	addGate(t, b)
	given(t, b, hot, 1)
	w := &lossy{}
	config := b.pool.Config()
	config.ConnConfig.DialFunc = w.dial
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	repo, err := eventstream.NewRepository(pool, nil)
	require.NoError(t, err)
	s := &scene{t: t, b: b, repo: repo, holder: hold(t, b, hot)}
	s.first = s.append(b.ctx, hot, eventstream.Any, anEvent(t, 2))
	s.waitLocked(1)
	const calls = 5
	events := make([][]eventstream.Event, calls)
	waiting := make([]<-chan appended, calls)
	for i := range calls {
		events[i] = append(someEvents(t, i%2), anEvent(t, gated))
		waiting[i] = s.gatherAppend(b.ctx, eventstream.Any, events[i]...)
	}
	next := s.releaseInto()
	w.lose.Store(true)
	next.end(t, b)
	for _, done := range waiting {
		got := <-done
		require.Zero(t, got.value)
		require.Error(t, got.err)
		require.True(t, eventstream.SafeToRetry(got.err), "%v", got.err)
	}
	w.lose.Store(false)
	s.retryAll(events)
}

// lossy stands between a client and the server, and takes answers away, also those that the client waits for already.
type lossy struct{ lose atomic.Bool }

func (l *lossy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &lossyConn{conn, l}, nil
}

type lossyConn struct {
	net.Conn
	lossy *lossy
}

func (c *lossyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.lossy.lose.Load() {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
