package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	loadCallers = 16
	// loadPause keeps the load modest: other tests run beside it.
	loadPause = 5 * time.Millisecond
	// heapRoom is how much the heap may grow: what a leak of 1 KiB a call would make is far above, as a rule.
	heapRoom = 8 << 20
)

// loadTime is how long the load lasts: GAPLESS_TEST_LOAD says, else ten seconds.
func loadTime(t *testing.T) time.Duration {
	t.Helper()
	if text := os.Getenv("GAPLESS_TEST_LOAD"); text != "" {
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		return d
	}
	return 10 * time.Second
}

// load is what the callers of a load share.
type load struct {
	b     *bundle
	start time.Time
	until time.Time

	mu sync.Mutex
	// took are the latencies of each third, and idle those of statements that do nothing beside them: what the machine's other work costs.
	took, idle [3][]time.Duration
}

// A load that goes on and on, with a subscription that follows, leaves the process and the database as they were: no memory that grows, no
// latency that rises, no dead rows, locks or sessions that stay.
func TestLoadLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(16))
	lasts := loadTime(t)
	ctx, cancel := context.WithTimeout(context.Background(), lasts+2*time.Minute)
	defer cancel()
	given := &givenUp{}
	b.ctx, b.repo = ctx, groupRepo(t, b, eventstream.Config{Tracer: given})
	last := int64(0)
	s := subscribe(t, b, "load.follower", subscription.EffectHandler(func(_ context.Context, events []eventstream.LogEvent) error {
		last = events[len(events)-1].Position
		return nil
	}), nil)
	running := run1(t, b, s)
	l := &load{b: b, start: time.Now(), until: time.Now().Add(lasts)}
	heap := l.run(t)
	awaitCheckpoint(t, b, s)
	running.stop(t)
	require.Equal(t, number(t, b.ctx, b.pool, `SELECT max(position) FROM eventstream.events`), last, "the subscription saw all")
	l.requireLatency(t)
	t.Logf("heap after each third: %d, %d, %d KiB", heap[0]>>10, heap[1]>>10, heap[2]>>10)
	if os.Getenv("GAPLESS_TEST_LOAD") != "" { // else other tests share the heap
		require.Less(t, heap[2], heap[0]+heapRoom, "heap after the first third, and at the end")
	}
	requireNoBloat(t, b, given)
	requireNothingHeld(t, b)
	requireAuditClean(t, b)
}

// A process whose subscriptions run has a transaction open all the time. It has no snapshot: that would keep every dead row of the
// database from being removed, by VACUUM and by the next write to the page.
func TestLoadSubscriptionHoldsNoSnapshot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := subscribe(t, b, "load.idle", subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { return nil }), nil)
	run1(t, b, s)
	given(t, b, "order-1", 1)
	awaitCheckpoint(t, b, s)
	waitFor(t, func() bool {
		return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_catalog.pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xmin IS NOT NULL`) == 0
	}, func() string { return "a session that is idle in its transaction has a snapshot\n" + sessionsOf(b) })
}

// run makes the load, and returns the heap after each third.
func (l *load) run(t *testing.T) (heap [3]int64) {
	t.Helper()
	var group errgroup.Group
	for i := range loadCallers {
		random := rand.New(rand.NewPCG(uint64(i), 13))
		group.Go(func() error {
			for n := 0; time.Now().Before(l.until); n++ {
				if err := l.call(t, random, i, n); err != nil {
					return err
				}
				time.Sleep(time.Duration(random.Int64N(int64(2 * loadPause))))
			}
			return nil
		})
	}
	third := l.until.Sub(l.start) / 3
	time.Sleep(time.Until(l.start.Add(third)))
	heap[0] = liveHeap()
	time.Sleep(time.Until(l.start.Add(2 * third)))
	heap[1] = liveHeap()
	require.NoError(t, group.Wait())
	heap[2] = liveHeap()
	return heap
}

// call appends to a hot stream, to one of many that exist after a while, or to a new one.
func (l *load) call(t *testing.T, random *rand.Rand, caller, n int) error {
	var id string
	switch random.IntN(3) {
	case 0:
		id = fmt.Sprintf("hot-%d", random.IntN(2))
	case 1:
		id = fmt.Sprintf("known-%d", random.IntN(200))
	default:
		id = fmt.Sprintf("new-%d-%d", caller, n)
	}
	began := time.Now()
	_, err := l.b.repo.Append(l.b.ctx, eventstream.StreamID(id), eventstream.Any, someEvents(t, 1+random.IntN(2))...)
	took := time.Since(began)
	if err == nil {
		_, err = l.b.pool.Exec(l.b.ctx, `SELECT`)
	}
	idle := time.Since(began) - took
	third := min(2, int(3*began.Sub(l.start)/l.until.Sub(l.start)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took[third], l.idle[third] = append(l.took[third], took), append(l.idle[third], idle)
	return err
}

// requireLatency demands that calls do not get slower, or not more than statements that do nothing: the machine may have got more to do.
// Half of them decide: a few that were slow may be another test's doing.
func (l *load) requireLatency(t *testing.T) {
	t.Helper()
	var half, idle [3]time.Duration
	for i, took := range l.took {
		require.NotEmpty(t, took)
		slices.Sort(took)
		slices.Sort(l.idle[i])
		half[i], idle[i] = took[len(took)/2], l.idle[i][len(took)/2]
		t.Logf("third %d: %d calls, half of them within %v, 99 %% within %v", i+1, len(took), half[i], took[len(took)*99/100])
	}
	busier := max(1, float64(idle[2])/float64(max(idle[0], time.Millisecond)))
	require.Less(t, half[2], time.Duration(3*busier*float64(half[0]))+50*time.Millisecond,
		"latency in the last third and in the first, where the machine is %.1f times as busy", busier)
}

// requireNoBloat demands that what was written is all there is: a load of appends leaves no dead row, before any VACUUM.
func requireNoBloat(t *testing.T, b *bundle, given *givenUp) {
	t.Helper()
	// Sessions of the pool report what they did when they are idle for a while, or end.
	b.pool.Reset()
	requireNoDeadEvents(t, b, eventsIn(t, b), given)
}

// requireNothingHeld demands that no session of the database is in a transaction or has an advisory lock.
func requireNothingHeld(t *testing.T, b *bundle) {
	t.Helper()
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_catalog.pg_locks AS l
		JOIN pg_catalog.pg_database AS d ON d.oid = l.database
		WHERE d.datname = current_database() AND l.locktype = 'advisory'`), "advisory locks\n%s", sessionsOf(b))
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_catalog.pg_stat_activity
		WHERE datname = current_database() AND state LIKE 'idle in transaction%'`), "sessions in a transaction\n%s", sessionsOf(b))
}
