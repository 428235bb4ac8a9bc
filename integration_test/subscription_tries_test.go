package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// raised is what a server answers that is in this condition.
func raised(t testing.TB, b *bundle, code string) error {
	t.Helper()
	_, err := b.pool.Exec(b.ctx, fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '%s'; END $$`, code))
	return requireSQLState(t, err, code)
}

// ailing is a handler whose events fail, each with an error of its own and as often as it says.
type ailing struct {
	mu    sync.Mutex
	errs  map[int64]error
	left  map[int64]int
	calls map[int64]int
}

func newAiling() *ailing {
	return &ailing{errs: map[int64]error{}, left: map[int64]int{}, calls: map[int64]int{}}
}

func (a *ailing) add(position int64, times int, err error) {
	a.errs[position], a.left[position] = err, times
}

func (a *ailing) decide(events []eventstream.LogEvent) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		a.calls[e.Position]++
		if a.left[e.Position] != 0 {
			a.left[e.Position]--
			return a.errs[e.Position]
		}
	}
	return nil
}

func (a *ailing) called(position int64) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls[position]
}

// The condition of a server speaks against no event: innocent events are tried again until they go through, more often than MaxTries.
func TestSubscriptionParksNoInnocentEvents(t *testing.T) {
	t.Parallel()
	codes := []string{
		"53100", "53200", "53300", "55P03", "40001", "40P01", "57P01", "57P03", "58030", "25006", "25P03", "08006",
	}
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, len(codes)+2, "a-1")
		a := newAiling()
		for i, code := range codes {
			a.add(int64(i+1), 7, raised(t, b, code))
		}
		a.add(int64(len(codes)+1), 7, subscription.RetryAfter(errors.New("closed for lunch"), time.Millisecond))
		a.add(int64(len(codes)+2), 7, &net.OpError{Op: "dial", Err: subscription.RetryAfter(io.EOF, 0)})
		told := newWitness()
		config := quick(subscription.Park)
		config.BatchSize, config.Window, config.Observer = 1, 1, told.observe
		s := subscribe(t, b, "reader", handlerKinds[kind](b, a.decide), config)
		stop := keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		stop() // by then, all is told
		require.Empty(t, parkedPositions(t, b, "reader"))
		requireHandledOnce(t, b)
		for _, f := range toldOf[subscription.TryFailed](told) {
			require.False(t, f.Counted, "%v", f.Err)
			require.Zero(t, f.Tries)
		}
		require.Len(t, toldOf[subscription.TryFailed](told), 7*(len(codes)+2))
	})
}

// What the handler meets elsewhere counts, however much it looks like a lost connection: the event is parked after MaxTries.
func TestSubscriptionParksWhatFailsElsewhere(t *testing.T) {
	t.Parallel()
	_, missing := os.ReadFile("no such file")
	_, refused := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	require.Error(t, refused)
	_, elsewhere := pgx.Connect(context.Background(), "postgres://nobody@127.0.0.1:1/other?sslmode=disable")
	require.Error(t, elsewhere)
	failures := []error{
		io.EOF, io.ErrUnexpectedEOF, missing, refused, elsewhere, net.ErrClosed, fs.ErrNotExist, context.DeadlineExceeded, os.ErrDeadlineExceeded,
	}
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, len(failures)+1, "a-1")
		a := newAiling()
		var sick []int64
		for i, err := range append(failures, raised(t, b, "57014")) {
			a.add(int64(i+1), -1, fmt.Errorf("outer: %w", err))
			sick = append(sick, int64(i+1))
		}
		config := quick(subscription.Park)
		config.BatchSize, config.Window = 1, 1
		s := subscribe(t, b, "reader", handlerKinds[kind](b, a.decide), config)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		require.Equal(t, sick, parkedPositions(t, b, "reader"))
		for _, p := range readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "reader")) {
			require.Equal(t, 3, p.Tries, p.Error)
			require.Equal(t, 3, a.called(p.Position), p.Error)
		}
	})
}

// A handler that knows that no further try can help is believed: the event is parked, or stops the subscription, at once, and those beside
// it in its batch go through.
func TestSubscriptionPermanent(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 4, "a-1", "b-1")
		a := newAiling()
		a.add(5, -1, fmt.Errorf("outer: %w", subscription.Permanent(errPoison)))
		err := run1(t, b, subscribe(t, b, "stops", handlerKinds[kind](b, a.decide), quick(subscription.Stop))).wait(t, b)
		var stopped *subscription.HandlerError
		require.ErrorAs(t, err, &stopped)
		require.ErrorIs(t, err, errPoison)
		require.Equal(t, []any{int64(5), 1}, []any{stopped.Event.Position, stopped.Tries})

		execSQL(t, b.ctx, b.pool, `TRUNCATE public.handled`)
		s := subscribe(t, b, "parks", handlerKinds[kind](b, a.decide), quick(subscription.Park))
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		requireHandledOnce(t, b, 5)
		parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "parks"))
		require.Len(t, parked, 1)
		require.Equal(t, 1, parked[0].Tries)
	})
}

// A handler that asks for a pause gets it, and the whole batch after it, undivided.
func TestSubscriptionRetryAfter(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 4, "a-1")
		const pause = 150 * time.Millisecond
		var mu sync.Mutex
		var sizes []int
		var times []time.Time
		decide := func(events []eventstream.LogEvent) error {
			mu.Lock()
			defer mu.Unlock()
			sizes, times = append(sizes, len(events)), append(times, time.Now())
			if len(sizes) <= 4 {
				return subscription.RetryAfter(errors.New("too many requests"), pause)
			}
			return nil
		}
		config := quick(subscription.Stop)
		config.MinBackoff, config.MaxBackoff = time.Hour, time.Hour // which is not asked for
		s := subscribe(t, b, "reader", handlerKinds[kind](b, decide), config)
		keepRunning(t, b, s)
		awaitCheckpoint(t, b, s)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []int{4, 4, 4, 4, 4}, sizes)
		for i := range 4 {
			require.GreaterOrEqual(t, times[i+1].Sub(times[i]), pause)
		}
		requireHandledOnce(t, b)
	})
}

// The handler's own transaction goes with its connection: whatever the handler makes of that, it does not count. A deadline of the handler's
// own closes the connection too, and does count.
func TestSubscriptionLostConnectionIsNoTry(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 2, "a-1")
	// A statement that waits until the test ends, and no longer: a cancel request that overtakes its statement does nothing.
	execSQL(t, b.ctx, session(t, b), `SELECT pg_advisory_lock(1)`)
	killed, late := 0, 0
	handler := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		switch {
		case events[0].Position == 1 && killed < 7:
			killed++
			execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, tx.Conn().PgConn().PID())
			for { // until the backend has heard of it
				if _, err := tx.Exec(ctx, `SELECT 1`); err != nil {
					return errors.New("the handler keeps to itself what it was")
				}
			}
		case events[0].Position == 2:
			late++
			limited, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
			defer cancel()
			_, err := tx.Exec(limited, `SELECT pg_advisory_xact_lock(1)`)
			return err
		}
		return writeHandled(ctx, tx, events)
	})
	config := quick(subscription.Park)
	config.BatchSize = 1
	s := subscribe(t, b, "reader", handler, config)
	stop := keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	stop()
	require.Equal(t, []int64{2}, parkedPositions(t, b, "reader"))
	requireHandledOnce(t, b, 2)
	require.Equal(t, []int{7, 3}, []int{killed, late})
}
