package snapshot

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// worker is a background whose work waits to be let go, with a clock of its own.
type worker struct {
	*background
	started chan eventstream.StreamID
	result  chan error
	time    time.Time
}

func newWorker(t *testing.T, most int) *worker {
	t.Helper()
	w := &worker{started: make(chan eventstream.StreamID), result: make(chan error), time: time.Unix(1000, 0)}
	w.background = newBackground(most, time.Minute, func(ctx context.Context, id eventstream.StreamID) error {
		w.started <- id
		select {
		case err := <-w.result:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	w.now = func() time.Time { return w.time }
	return w
}

// finish lets the work that has started end, and waits until nothing is left to do.
func (w *worker) finish(t *testing.T, err error) {
	t.Helper()
	w.result <- err
	require.NoError(t, w.flush(t.Context()))
}

// One at a time, each stream once, and no more than so many.
func TestBackgroundIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorker(t, 2)
	require.True(t, w.add("a"))
	require.Equal(t, eventstream.StreamID("a"), <-w.started)
	require.True(t, w.add("a"), "it is under way")
	require.True(t, w.add("b"))
	require.True(t, w.add("b"), "it waits already")
	require.True(t, w.add("c"))
	require.False(t, w.add("d"), "two wait")
	var order []eventstream.StreamID
	for range 2 {
		w.result <- nil
		order = append(order, <-w.started)
	}
	w.finish(t, nil)
	require.True(t, slices.Equal([]eventstream.StreamID{"b", "c"}, order))
	require.True(t, w.add("d"), "there is room again")
	require.Equal(t, eventstream.StreamID("d"), <-w.started)
	w.finish(t, nil)
}

// After a failure nothing is tried for a while: 1 s, then twice as long each time, up to 5 min; after a success at once.
func TestBackgroundPausesAfterFailures(t *testing.T) {
	t.Parallel()
	w := newWorker(t, 2)
	fails := func(err error) {
		require.True(t, w.add("a"))
		require.Equal(t, eventstream.StreamID("a"), <-w.started)
		w.finish(t, err)
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		fails(errors.New("broken"))
		w.time = w.time.Add(pause*time.Second - 1)
		require.True(t, w.add("a"), "nobody is told")
		require.NoError(t, w.flush(t.Context()))
		require.Nil(t, w.done, "and nothing starts")
		w.time = w.time.Add(1)
	}
	fails(nil)
	fails(errors.New("broken"))
	w.time = w.time.Add(time.Second)
	fails(nil)
}

// Close waits for what is under way, and leaves the rest; when its context ends it breaks that off. Nothing starts after it.
func TestBackgroundCloses(t *testing.T) {
	t.Parallel()
	w := newWorker(t, 2)
	require.True(t, w.add("a"))
	<-w.started
	require.True(t, w.add("b"))
	closed := make(chan error)
	go func() { closed <- w.close(t.Context()) }()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.closed
	}, time.Minute, time.Millisecond)
	w.result <- nil
	require.NoError(t, <-closed)
	require.True(t, w.add("c"))
	require.Nil(t, w.done)
	require.NoError(t, w.close(t.Context()), "twice")

	w = newWorker(t, 2)
	require.True(t, w.add("a"))
	<-w.started
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.flush(ended), context.Canceled)
	require.ErrorIs(t, w.close(ended), context.Canceled)
	require.Nil(t, w.done)
}
