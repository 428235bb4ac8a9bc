package integration_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// journal is what a handler got, in its order.
type journal struct {
	mu     sync.Mutex
	events []eventstream.LogEvent
	grown  chan struct{}
}

func newJournal() *journal { return &journal{grown: make(chan struct{})} }

func (j *journal) add(events []eventstream.LogEvent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, events...)
	close(j.grown)
	j.grown = make(chan struct{})
}

func (j *journal) all() []eventstream.LogEvent {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]eventstream.LogEvent(nil), j.events...)
}

// waitCount waits until the handler got so many events.
func (j *journal) waitCount(t testing.TB, ctx context.Context, count int) []eventstream.LogEvent { //nolint:revive // t first
	t.Helper()
	for {
		j.mu.Lock()
		events, grown := append([]eventstream.LogEvent(nil), j.events...), j.grown
		j.mu.Unlock()
		if len(events) >= count {
			return events
		}
		select {
		case <-grown:
		case <-ctx.Done():
			t.Fatalf("%d of %d events came: %v", len(events), count, ctx.Err())
		}
	}
}

func (j *journal) tx(_ context.Context, _ pgx.Tx, events []eventstream.LogEvent) error {
	j.add(events)
	return nil
}

func (j *journal) effect(_ context.Context, events []eventstream.LogEvent) error {
	j.add(events)
	return nil
}

func (j *journal) async(_ context.Context, events []eventstream.LogEvent, ack func(error)) {
	j.add(events) // in the order of the calls; acknowledgements may come in any
	go ack(nil)
}

// keepRunning runs a subscription until the test or the returned function ends it. It returns once the subscription is there.
func keepRunning(t testing.TB, b *bundle, s runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run of %s: %v", s.Name(), err)
		}
	})
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		lag, err := s.Lag(ctx)
		return err == nil && len(lag) > 0
	}, blockTimeout, time.Millisecond, "the subscription was not created")
	return stop
}

// runner is a subscription, or a projector.
type runner interface {
	Name() string
	Run(ctx context.Context) error
	Lag(ctx context.Context) ([]subscription.ShardLag, error)
}

func subscribe(t testing.TB, b *bundle, name string, handler subscription.Handler, config *subscription.Config) *subscription.Subscription {
	t.Helper()
	if config == nil {
		config = &subscription.Config{}
	}
	if config.Observer == nil {
		config.Observer = logTroubles(t)
	}
	s, err := subscription.New(b.repo, name, handler, config)
	require.NoError(t, err)
	return s
}

// requireGapless demands that a reader of everything got all that is committed, once, in order, numbered without a hole.
func requireGapless(t testing.TB, b *bundle, events []eventstream.LogEvent) {
	t.Helper()
	var positions []int64
	rows, err := b.pool.Query(b.ctx, `SELECT position FROM eventstream.events ORDER BY position`)
	require.NoError(t, err)
	positions, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	got := make([]int64, len(events))
	partitions := map[int]int64{}
	for i, e := range events {
		got[i] = e.Position
		require.Equal(t, int64(i+1), e.Sequence, "position %d", e.Position)
		partitions[e.PartitionID]++
		require.Equal(t, partitions[e.PartitionID], e.PartitionSequence, "position %d", e.Position)
	}
	require.Equal(t, positions, got)
}

// Each kind of handler gets everything that was there and everything that comes.
func TestSubscriptionDelivers(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*journal) subscription.Handler{
		"tx":     func(j *journal) subscription.Handler { return subscription.TxHandler(j.tx) },
		"effect": func(j *journal) subscription.Handler { return subscription.EffectHandler(j.effect) },
		"async":  func(j *journal) subscription.Handler { return subscription.AsyncHandler(j.async) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			for i := range 30 {
				given(t, b, eventstream.StreamID(fmt.Sprintf("before-%d", i)), 10)
			}
			j := newJournal()
			s := subscribe(t, b, "reader", handler(j), nil)
			stop := keepRunning(t, b, s)
			j.waitCount(t, b.ctx, 300)
			for i := range 20 {
				result, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, i))
				require.NoError(t, err)
				require.NoError(t, s.WaitFor(b.ctx, result.LastPosition))
				require.GreaterOrEqual(t, len(j.all()), 301+i, "WaitFor returns after the handler")
			}
			requireGapless(t, b, j.all())
			stop()

			// Another run goes on where the first one was.
			given(t, b, "after-1", 5)
			again := newJournal()
			keepRunning(t, b, subscribe(t, b, "reader", handler(again), nil))
			require.Equal(t, int64(321), again.waitCount(t, b.ctx, 5)[0].Sequence)
			lag, err := s.Lag(b.ctx)
			require.NoError(t, err)
			require.Len(t, lag, 1)
			requireAuditClean(t, b)
		})
	}
}

// Latency within one process, from commit to handler; a measurement that only says what it found.
func TestSubscriptionLatency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := newJournal()
	keepRunning(t, b, subscribe(t, b, "reader", subscription.EffectHandler(j.effect), nil))
	var sum time.Duration
	for i := range 100 {
		_, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, i))
		require.NoError(t, err)
		began := time.Now()
		j.waitCount(t, b.ctx, i+1)
		sum += time.Since(began)
	}
	t.Logf("mean of 100: %v", sum/100)
}
