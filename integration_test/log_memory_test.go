package integration_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

const (
	mebibyte = 1 << 20
	// largeEvent is the text of an event of 256 KiB.
	largeEvent = 256 << 10
	// slackOfHeap is what connections, plans and the test itself may take besides the events.
	slackOfHeap = 24 * mebibyte
)

// smallThenLarge fills a store with 5,000 small events and then 300 of 256 KiB, over 64 streams; every third of them cannot be compressed,
// the others nearly vanish. It returns the number of events.
func smallThenLarge(t testing.TB, b *bundle) int {
	t.Helper()
	noise := make([]byte, largeEvent/2)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	execSQL(t, b.ctx, b.pool, `SELECT count(eventstream.append('small-' || n % 64, 'small.one', p_partition_id => n % 32)) FROM generate_series(1, 5000) AS n`)
	execSQL(t, b.ctx, b.pool, `
		SELECT count(eventstream.append('small-' || n % 64, 'large.one', to_jsonb(CASE WHEN n % 3 = 0 THEN n || $1 ELSE repeat('x', $2) END),
			p_partition_id => n % 32))
		FROM generate_series(1, 300) AS n`, hex.EncodeToString(noise), largeEvent)
	return 5_300
}

// heapWatch is the most that was live at the moments that a test looked, above what was live before.
type heapWatch struct {
	mu           sync.Mutex
	least, added int64
	seen         int
}

func watchHeap() *heapWatch { return &heapWatch{least: liveHeap()} }

func (w *heapWatch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.added = max(w.added, liveHeap()-w.least)
}

// count looks at every so many events.
func (w *heapWatch) count(every int) {
	if w.seen++; w.seen%every == 0 {
		w.look()
	}
}

func (w *heapWatch) require(t *testing.T, what string, most int64) {
	t.Helper()
	t.Logf("%s: %.1f MiB live above the start at most", what, float64(w.added)/mebibyte)
	require.Less(t, w.added, most, what)
}

// A page is bounded by bytes, whatever it was that came before it: forwards, backwards, with each kind of filter, in a transaction, and in
// a stream. Not parallel: other tests use memory too.
func TestLogMemoryIsBoundedWhateverTheSizes(t *testing.T) {
	b := setup(t)
	events := smallThenLarge(t, b)
	var all []int
	for p := range 32 {
		all = append(all, p)
	}
	for name, opts := range map[string]eventstream.LogOptions{
		"forwards":       {},
		"backwards":      {Backwards: true},
		"partitions":     {Filter: eventstream.LogFilter{Partitions: all[:31]}},
		"few partitions": {Filter: eventstream.LogFilter{Partitions: all[:2]}},
		"type":           {Filter: eventstream.LogFilter{Types: []eventstream.EventType{"large.one", "small.one"}}},
		"category, backwards": {
			Filter: eventstream.LogFilter{Category: "small"}, Backwards: true,
		},
	} {
		w := watchHeap()
		var previous int64
		for e, err := range b.repo.ReadLog(b.ctx, opts) {
			require.NoError(t, err)
			if len(opts.Filter.Partitions) == 0 && previous != 0 {
				require.Equal(t, int64(1), max(e.Sequence-previous, previous-e.Sequence), "%s: none is left out", name)
			}
			if e.Type == "large.one" {
				require.Greater(t, len(e.Payload), largeEvent)
			}
			previous = e.Sequence
			w.count(300)
		}
		if len(opts.Filter.Partitions) == 0 {
			require.Equal(t, events, w.seen, name)
		}
		require.NotZero(t, w.seen, name)
		w.require(t, name, 16*mebibyte+slackOfHeap)
	}
	inTx(t, b, func(tx pgx.Tx) {
		w := watchHeap()
		for _, err := range b.repo.WithTx(tx).ReadLog(b.ctx, eventstream.LogOptions{}) {
			require.NoError(t, err)
			w.count(300)
		}
		require.Equal(t, events, w.seen)
		w.require(t, "in a transaction", 16*mebibyte+slackOfHeap)
	})
}

// The same for a stream, upwards and downwards, and for events that are neither small nor large by themselves.
func TestReadMemoryIsBoundedWhateverTheSizes(t *testing.T) { //nolint:paralleltest // as above
	b := setup(t)
	execSQL(t, b.ctx, b.pool, `SELECT count(eventstream.append('a-1', 'small.one')) FROM generate_series(1, 1500) AS n`)
	execSQL(t, b.ctx, b.pool, `SELECT count(eventstream.append('a-1', 'large.one', to_jsonb(repeat('x', $1)))) FROM generate_series(1, 300) AS n`, largeEvent)
	execSQL(t, b.ctx, b.pool, `SELECT count(eventstream.append('a-1', 'small.one')) FROM generate_series(1, 1200) AS n`)
	for _, backwards := range []bool{false, true} {
		repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{PageSize: 2000})
		require.NoError(t, err)
		w := watchHeap()
		next := int64(1)
		if backwards {
			next = 3000
		}
		for e, err := range repo.Read(b.ctx, "a-1", eventstream.ReadOptions{Backwards: backwards}) {
			require.NoError(t, err)
			require.Equal(t, next, e.Version)
			if next++; backwards {
				next -= 2
			}
			w.count(300)
		}
		require.Equal(t, 3000, w.seen)
		w.require(t, "Read", 8*mebibyte+slackOfHeap)
	}
}

// Thirty-two shards, whose handlers all wait, hold no more than Config.MaxReadBytes together, with each kind of handler, and go on to the end.
func TestSubscriptionMemoryIsBoundedWithManyShards(t *testing.T) { //nolint:paralleltest // as above
	b := withHandled(t, setup(t))
	events := smallThenLarge(t, b)
	for kind, most := range map[string]int64{"effect": 64, "async": 64, "tx": 64, "effect within 8 MiB": 8} {
		config := &eventstream.Config{MaxReadBytes: most * mebibyte}
		pages := &pageWatch{}
		p := anotherProcess(t, b, config, withMaxConns(12), func(c *pgxpool.Config) { c.ConnConfig.Tracer = pages })
		w := watchHeap()
		var handled atomic.Int64
		gate := newBarrier(32)
		count := func(events []eventstream.LogEvent) {
			handled.Add(int64(len(events)))
			for i := range events {
				if events[i].Type == "large.one" {
					w.count(100)
				}
			}
		}
		var handler subscription.Handler
		switch kind {
		case "tx":
			var mu sync.Mutex
			handler = subscription.TxHandler(func(_ context.Context, _ pgx.Tx, events []eventstream.LogEvent) error {
				mu.Lock()
				defer mu.Unlock()
				count(events)
				return nil
			})
		case "async":
			var mu sync.Mutex
			handler = subscription.AsyncHandler(func(_ context.Context, events []eventstream.LogEvent, ack func(error)) {
				go func() {
					gate.pass()
					mu.Lock()
					defer mu.Unlock()
					count(events)
					ack(nil)
				}()
			})
		default:
			var mu sync.Mutex
			handler = subscription.EffectHandler(func(_ context.Context, events []eventstream.LogEvent) error {
				gate.pass()
				mu.Lock()
				defer mu.Unlock()
				count(events)
				return nil
			})
		}
		s := subscribe(t, p, "reader-"+hex.EncodeToString([]byte(kind)), handler, &subscription.Config{
			Shards: 32, From: eventstream.FromPosition(4001),
		})
		running := run1(t, p, s)
		if kind != "tx" {
			gate.wait(t)
			// Nobody reads any more, since nobody has room for more. The look at the log's end goes on, and is no page.
			idle, begun := 0, int32(0)
			require.Eventually(t, func() bool {
				if now := pages.begun.Load(); now != begun || pages.running.Load() > 0 {
					idle, begun = 0, now
				}
				idle++
				return idle > 100
			}, blockTimeout, 5*time.Millisecond)
			w.look()
			gate.open()
		}
		awaitCheckpoint(t, b, s)
		running.stop(t)
		require.Equal(t, int64(events-4000), handled.Load())
		w.require(t, kind, most*mebibyte+32*largeEvent+slackOfHeap)
	}
}

// barrier lets nobody pass until it is opened, and knows when enough wait.
type barrier struct {
	enough  int64
	waiting atomic.Int64
	opened  chan struct{}
}

func newBarrier(enough int64) *barrier { return &barrier{enough: enough, opened: make(chan struct{})} }

func (g *barrier) pass() {
	g.waiting.Add(1)
	<-g.opened
}

func (g *barrier) wait(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return g.waiting.Load() >= g.enough }, blockTimeout, time.Millisecond)
}

func (g *barrier) open() { close(g.opened) }
