package eventstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/db"
)

// groupServer stands in for the database: it notes each statement, holds it until told, and then appends everything, or what answer says.
type groupServer struct {
	t      *testing.T
	answer func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error)

	mu   sync.Mutex
	sent []*sentBatch
}

// sentBatch is a statement on its way.
type sentBatch struct {
	ctx     context.Context //nolint:containedctx // what the statement ran under is what tests look at
	streams []string
	params  db.EventAppendBatchParams
	timeout string
	release chan struct{}
}

func (s *groupServer) send(
	ctx context.Context, p db.EventAppendBatchParams, lockTimeout string,
) ([]db.EventAppendBatchRow, error) {
	batch := &sentBatch{ctx: ctx, streams: p.StreamIds, params: p, timeout: lockTimeout, release: make(chan struct{})}
	s.mu.Lock()
	s.sent = append(s.sent, batch)
	s.mu.Unlock()
	select {
	case <-batch.release:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.answer != nil {
		if rows, err := s.answer(p, lockTimeout); rows != nil || err != nil {
			return rows, err
		}
	}
	return appendedAll(p), nil
}

// appendedAll tells each request apart by the number of its events.
func appendedAll(p db.EventAppendBatchParams) []db.EventAppendBatchRow {
	rows := make([]db.EventAppendBatchRow, len(p.StreamIds))
	for i := range rows {
		rows[i] = db.EventAppendBatchRow{Request: int32(i + 1), Outcome: "appended", LastVersion: int64(p.EventCounts[i])}
	}
	return rows
}

// batches are the streams of each statement so far, once all goroutines wait.
func (s *groupServer) batches() [][]string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([][]string, len(s.sent))
	for i, batch := range s.sent {
		out[i] = batch.streams
	}
	return out
}

func (s *groupServer) release(i int) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.sent[i].release)
}

// groupUser is an Append under way.
type groupUser struct {
	stream, eventID string
	result          AppendResult
	err             error
	done            bool
	cancel          context.CancelFunc
}

// inGroup runs a test with a group on a server of its own, in a bubble where a goroutine that nothing can wake fails the test.
func inGroup(t *testing.T, config GroupConfig, test func(t *testing.T, g *group, s *groupServer)) {
	t.Helper()
	require.NoError(t, config.complete())
	synctest.Test(t, func(t *testing.T) {
		s := &groupServer{t: t}
		test(t, newGroup(config, s.send), s)
		synctest.Wait()
	})
}

// startAppend appends n events to a stream, from a goroutine of its own, and returns once that waits.
func startAppend(t *testing.T, g *group, stream string, n int) *groupUser {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &groupUser{cancel: cancel}
	events := make([]Event, n)
	for i := range events {
		event, err := NewEvent("a.b", map[string]int{"n": i})
		require.NoError(t, err)
		events[i] = event
	}
	c.eventID = events[0].ID.String()
	go func() {
		c.result, c.err = g.append(ctx, AppendRequest{StreamID: StreamID(stream), Expected: Any, Events: events})
		c.done = true
	}()
	synctest.Wait()
	return c
}

func requireAppended(t *testing.T, calls ...*groupUser) {
	t.Helper()
	synctest.Wait()
	for i, c := range calls {
		require.True(t, c.done, "call %d is done", i)
		require.NoError(t, c.err, "call %d", i)
	}
}

func TestGroupRunsAtOnceOrWithTheNext(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 2}, func(t *testing.T, g *group, s *groupServer) {
		a := startAppend(t, g, "a", 1)
		require.Equal(t, [][]string{{"a"}}, s.batches(), "at once, by itself")
		b, c := startAppend(t, g, "b", 1), startAppend(t, g, "c", 1)
		require.Len(t, s.batches(), 1, "the next two wait")
		s.release(0)
		require.Equal(t, [][]string{{"a"}, {"b", "c"}}, s.batches(), "and go together")
		requireAppended(t, a)
		s.release(1)
		requireAppended(t, b, c)
	})
}

func TestGroupFliesBesideAnotherBatchWhenManyWait(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 2}, func(t *testing.T, g *group, s *groupServer) {
		calls := []*groupUser{startAppend(t, g, "first", 1)}
		for i := range 2*besideOthers + 1 {
			calls = append(calls, startAppend(t, g, fmt.Sprint("s", i), 1))
			switch {
			case i < besideOthers-1:
				require.Len(t, s.batches(), 1)
			default:
				require.Len(t, s.batches(), 2, "two in flight, as configured")
			}
		}
		require.Len(t, s.batches()[1], besideOthers)
		s.release(1)
		require.Len(t, s.batches(), 3)
		require.Len(t, s.batches()[2], besideOthers+1)
		s.release(0)
		s.release(2)
		requireAppended(t, calls...)
	})
}

func TestGroupKeepsAStreamInOneBatch(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 2}, func(t *testing.T, g *group, s *groupServer) {
		calls := []*groupUser{startAppend(t, g, "hot", 1), startAppend(t, g, "hot", 2), startAppend(t, g, "cold", 1), startAppend(t, g, "hot", 3)}
		for i := range besideOthers {
			calls = append(calls, startAppend(t, g, fmt.Sprint("cold", i), 1))
		}
		require.Len(t, s.batches(), 2, "others pass by")
		require.NotContains(t, s.batches()[1], "hot")
		s.release(0)
		s.release(1)
		require.Equal(t, []string{"hot", "hot"}, s.batches()[2][:2])
		require.Equal(t, []int32{2, 3}, s.sent[2].params.EventCounts[:2], "in order of arrival")
		s.release(2)
		requireAppended(t, calls...)
		require.Equal(t, int64(2), calls[1].result.LastVersion)
		require.Equal(t, int64(3), calls[3].result.LastVersion)
	})
}

func TestGroupBoundsABatch(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]GroupConfig{
		"Events": {InFlight: 1, MaxEvents: 4},
		"Bytes":  {InFlight: 1, MaxBytes: 4 * len(`{"n":0}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inGroup(t, config, func(t *testing.T, g *group, s *groupServer) {
				calls := []*groupUser{startAppend(t, g, "a", 1)}
				for i, n := range []int{2, 2, 1, 9, 1} {
					calls = append(calls, startAppend(t, g, fmt.Sprint("s", i), n))
				}
				for i := range 5 {
					if i < len(s.batches()) {
						s.release(i)
					}
				}
				require.Equal(t, [][]string{{"a"}, {"s0", "s1"}, {"s2"}, {"s3"}, {"s4"}}, s.batches())
				requireAppended(t, calls...)
			})
		})
	}
}

func TestGroupCallLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		first := startAppend(t, g, "a", 1)
		b, c, d := startAppend(t, g, "b", 1), startAppend(t, g, "c", 1), startAppend(t, g, "d", 1)
		b.cancel()
		synctest.Wait()
		requireCanceled(t, b, false)
		s.release(0)
		require.Equal(t, [][]string{{"a"}, {"c", "d"}}, s.batches(), "who left before is not sent")
		c.cancel()
		synctest.Wait()
		requireCanceled(t, c, true)
		require.NoError(t, s.sent[1].ctx.Err(), "another still waits")
		s.release(1)
		requireAppended(t, first, d)
	})
}

func TestGroupEndsABatchThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		first := startAppend(t, g, "a", 1)
		b, c := startAppend(t, g, "b", 1), startAppend(t, g, "c", 1)
		s.release(0)
		require.Len(t, s.batches(), 2)
		b.cancel()
		c.cancel()
		synctest.Wait()
		require.Error(t, s.sent[1].ctx.Err())
		requireCanceled(t, b, true)
		requireCanceled(t, c, true)
		next := startAppend(t, g, "b", 1)
		s.release(2)
		requireAppended(t, first, next)
	})
}

// What a caller does with its payload after it left does not reach the database.
func TestGroupOwnsWhatItSends(t *testing.T) {
	t.Parallel()
	inGroup(t, GroupConfig{InFlight: 1}, func(t *testing.T, g *group, s *groupServer) {
		first, before := startAppend(t, g, "a", 1), startAppend(t, g, "a2", 1)
		ctx, cancel := context.WithCancel(t.Context())
		payload, data, metadata := []byte(`{"n":1}`), []byte("data"), []byte(`{"m":1}`)
		event, err := NewEvent("a.b", nil)
		require.NoError(t, err)
		event.Payload, event.Data, event.Metadata = payload, data, metadata
		go func() { _, _ = g.append(ctx, AppendRequest{StreamID: "b", Expected: Any, Events: []Event{event}}) }()
		synctest.Wait()
		other := startAppend(t, g, "c", 1)
		s.release(0)
		require.Len(t, s.batches(), 2)
		cancel()
		synctest.Wait()
		payload[5], data[0], metadata[5] = '2', 'D', '2'
		require.JSONEq(t, `{"n":1}`, string(s.sent[1].params.Payloads[1]))
		require.Equal(t, "data", string(s.sent[1].params.Data[1]))
		require.JSONEq(t, `{"m":1}`, string(s.sent[1].params.Metadata[1]))
		require.Equal(t, [][]byte{nil, []byte("data"), nil}, s.sent[1].params.Data, "events without data beside one with")
		s.release(1)
		requireAppended(t, first, before, other)
	})
}

func requireCanceled(t *testing.T, c *groupUser, sent bool) {
	t.Helper()
	var canceled *AppendCanceledError
	require.True(t, c.done)
	require.ErrorAs(t, c.err, &canceled)
	require.ErrorIs(t, c.err, context.Canceled)
	require.Equal(t, sent, canceled.Sent)
	require.False(t, SafeToRetry(c.err))
}

func TestAppendCanceledErrorSaysWhetherItWasSent(t *testing.T) {
	t.Parallel()
	err := &AppendCanceledError{StreamID: "order-1", Err: context.DeadlineExceeded}
	require.EqualError(t, err, `append to stream "order-1": context deadline exceeded before it was sent; nothing was written`)
	err.Sent = true
	require.EqualError(t, err,
		`append to stream "order-1": context deadline exceeded; it may have been applied: append the same events again to know`)
	require.True(t, errors.Is(err, context.DeadlineExceeded))
}
