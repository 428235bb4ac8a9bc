package integration_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// halfWatch is a pgx tracer that counts first and second halves of pages of 256 positions, told by how many of these they go through.
type halfWatch struct{ first, second atomic.Int32 }

func (w *halfWatch) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	forward, filtered := strings.Contains(data.SQL, "-- name: LogListForward"), strings.Contains(data.SQL, "-- name: LogListFiltered")
	switch {
	case !forward && !filtered:
	case data.Args[1].(int64)-data.Args[0].(int64) == 128:
		w.first.Add(1)
	case data.Args[2].(int32) == 128:
		w.second.Add(1)
	}
	return ctx
}

func (*halfWatch) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// longLog is a log of 3,000 events, with holes, and some that are large, or of which a page has too many bytes.
func longLog(t *testing.T, b *bundle) {
	t.Helper()
	for i := range 30 {
		events := someEvents(t, 100)
		switch i {
		case 12:
			events[40] = sizedEvent(t, 5<<10)
			events[90] = sizedEvent(t, 5<<10)
		case 17:
			for n := range events {
				events[n] = sizedEvent(t, 900)
			}
		}
		_, err := b.repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("order-%d", i%7)), eventstream.Any, events...)
		require.NoError(t, err)
		if i%5 == 3 {
			burn(t, b, 1+i)
		}
	}
}

// sizedEvent has so many bytes, which nothing can compress.
func sizedEvent(t *testing.T, bytes int) eventstream.Event {
	t.Helper()
	noise := make([]byte, bytes/2)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	event, err := eventstream.NewEvent("tested.sized", map[string]string{"text": hex.EncodeToString(noise)})
	require.NoError(t, err)
	return event
}

// Large pages of a dense log are read by two connections, a half each, and give what one connection in a transaction gives: every event once, in
// order, with its numbers, over holes and large events, and with a filter.
func TestLogReadByHalvesIsWhatOneConnectionReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	longLog(t, b)
	for name, opts := range map[string]eventstream.LogOptions{
		"all":        {},
		"from":       {From: eventstream.FromPosition(77)},
		"limit":      {Limit: 1777},
		"partitions": {Filter: eventstream.LogFilter{Partitions: []int{1, 2, 3, 5, 8, 13, 21, 30}}},
		"category":   {Filter: eventstream.LogFilter{Category: "order"}},
		"types":      {Filter: eventstream.LogFilter{Types: []eventstream.EventType{"tested.sized"}}},
		"backwards":  {Backwards: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := &halfWatch{}
			pool := newPool(t, b.dsn, withMaxConns(4), func(c *pgxpool.Config) { c.ConnConfig.Tracer = w })
			got := readAll(t, sizedRepo(t, pool, 32).ReadLog(b.ctx, opts))
			if name == "partitions" || name == "types" || name == "backwards" {
				require.Zero(t, w.first.Load(), "where few positions are wanted, or in this order")
			} else {
				require.Positive(t, w.first.Load())
				require.Positive(t, w.second.Load())
			}
			inTx(t, b, func(tx pgx.Tx) { require.Equal(t, readAll(t, sizedRepo(t, tx, 32).ReadLog(b.ctx, opts)), got) })
		})
	}
}

// Where a filter leaves most events out, a page is read by one connection: half of the positions would not be half of the work.
func TestLogReadByHalvesWhereEventsAreDense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 100 {
		var requests []eventstream.AppendRequest
		for _, id := range []eventstream.StreamID{"a-1", "b-1", "c-1", "d-1"} {
			requests = append(requests, eventstream.AppendRequest{StreamID: id, Expected: eventstream.Any, Events: someEvents(t, 10)})
		}
		_, err := b.repo.AppendMany(b.ctx, requests...)
		require.NoError(t, err)
	}
	w := &halfWatch{}
	repo := sizedRepo(t, newPool(t, b.dsn, func(c *pgxpool.Config) { c.ConnConfig.Tracer = w }), 32)
	require.Len(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "c"}})), 1000)
	require.Zero(t, w.first.Load())
	require.Len(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{})), 4000)
	require.Positive(t, w.first.Load())
}

// Without a second connection a reader goes on with the first, whoever has the others: another reader, a body that asks for one, or nobody.
func TestLogReadByHalvesWaitsForNoConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2000)
	for _, conns := range []int32{1, 2} {
		repo := sizedRepo(t, newPool(t, b.dsn, withMaxConns(conns)), 32)
		done := make(chan []eventstream.LogEvent)
		for range 4 {
			go func() {
				var all []eventstream.LogEvent
				for e, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{}) {
					if err == nil && e.Version%500 == 0 {
						_, err = repo.LogHead(b.ctx)
					}
					if err != nil {
						break
					}
					all = append(all, e)
				}
				done <- all
			}()
		}
		for range 4 {
			select {
			case all := <-done:
				require.Len(t, all, 2000, "%d connections", conns)
			case <-time.After(blockTimeout):
				t.Fatalf("a reader on %d connections does not end", conns)
			}
		}
	}
}

// An event that cannot be read comes in its place, in whichever half it is.
func TestLogReadByHalvesNamesWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, position := range []int64{700, 1100, 1250, 1999} {
		t.Run(fmt.Sprint(position), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 2000)
			makeUnreadable(t, b, position)
			want := make([]int64, 2000)
			for i := range want {
				want[i] = int64(i + 1)
			}
			want[position-1] = -position
			require.Equal(t, want, met(t, b, sizedRepo(t, b.pool, 32), eventstream.LogOptions{}))
		})
	}
}

// A subscription that is far behind reads by halves, and hands over everything once and in order.
func TestSubscriptionReadsByHalves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	longLog(t, b)
	w := &halfWatch{}
	p := anotherProcess(t, b, nil, withMaxConns(8), func(c *pgxpool.Config) { c.ConnConfig.Tracer = w })
	var got []eventstream.LogEvent
	s := subscribe(t, p, "reader", subscription.EffectHandler(func(_ context.Context, events []eventstream.LogEvent) error {
		got = append(got, events...)
		return nil
	}), &subscription.Config{BatchSize: 64})
	running := run1(t, p, s)
	awaitCheckpoint(t, p, s)
	running.stop(t)
	require.Positive(t, w.first.Load())
	require.Positive(t, w.second.Load())
	inTx(t, b, func(tx pgx.Tx) {
		require.Equal(t, readAll(t, sizedRepo(t, tx, 32).ReadLog(b.ctx, eventstream.LogOptions{})), got)
	})
}
