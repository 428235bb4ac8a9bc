package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// desk is an AsyncHandler whose batches the test acknowledges by hand.
type desk struct {
	mu      sync.Mutex
	batches []deskBatch
	grown   chan struct{}
}

type deskBatch struct {
	first, last int64
	ack         func(error)
}

func newDesk() *desk { return &desk{grown: make(chan struct{})} }

func (d *desk) handler() subscription.AsyncHandler {
	return func(_ context.Context, events []eventstream.LogEvent, ack func(error)) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.batches = append(d.batches, deskBatch{events[0].Position, events[len(events)-1].Position, ack})
		close(d.grown)
		d.grown = make(chan struct{})
	}
}

// wait gives a batch once it is handed out, counting from 0.
func (d *desk) wait(t testing.TB, b *bundle, n int) deskBatch {
	t.Helper()
	for {
		d.mu.Lock()
		count, grown := len(d.batches), d.grown
		if count > n {
			defer d.mu.Unlock()
			return d.batches[n]
		}
		d.mu.Unlock()
		select {
		case <-grown:
		case <-b.ctx.Done():
			t.Fatalf("%d of %d batches were handed out", count, n+1)
		}
	}
}

func (d *desk) firsts() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var firsts []int64
	for _, batch := range d.batches {
		firsts = append(firsts, batch.first)
	}
	return firsts
}

const readerCheckpoint = `SELECT position::text FROM eventstream.subscription_shards WHERE subscription = 'reader'`

// startDesk runs an AsyncHandler that gets one event at a time, and a witness beside it that gets all that is appended.
func startDesk(t *testing.T, b *bundle, window int) (*desk, *running) {
	t.Helper()
	d := newDesk()
	config := quick(subscription.Stop)
	config.BatchSize, config.Window = 1, window
	return d, run1(t, b, subscribe(t, b, "reader", d.handler(), config))
}

// awaitWitness returns once another subscription of the process got something that is appended now.
func awaitWitness(t *testing.T, b *bundle) {
	t.Helper()
	s := subscribe(t, b, "witness", subscription.EffectHandler(newJournal().effect), nil)
	witness := run1(t, b, s)
	for range 3 {
		given(t, b, eventstream.StreamID(fmt.Sprintf("witness-%d", drawn(t, b))), 1)
		awaitCheckpoint(t, b, s)
	}
	witness.stop(t)
}

// While nothing is acknowledged, no more than Window batches are handed out, and the checkpoint stays; Run ends all the same.
func TestSubscriptionAckNever(t *testing.T) {
	t.Parallel()
	for _, window := range []int{1, 3} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rounds(t, b, 10, "a-1")
			d, reader := startDesk(t, b, window)
			d.wait(t, b, window-1)
			awaitWitness(t, b)
			require.Equal(t, upTo(int64(window)), d.firsts())
			awaitSQL(t, b, "0", readerCheckpoint)

			d.wait(t, b, 0).ack(nil)
			d.wait(t, b, window)
			awaitSQL(t, b, "1", readerCheckpoint)
			awaitWitness(t, b)
			require.Equal(t, upTo(int64(window)+1), d.firsts(), "one was acknowledged, one more was handed out")
			reader.stop(t)
			requireFree(t, b, "reader")

			// A late acknowledgement is without effect: by now others may have handled it.
			d.wait(t, b, 1).ack(nil)
			awaitSQL(t, b, "1", readerCheckpoint)
			again, _ := startDesk(t, b, window)
			require.Equal(t, int64(2), again.wait(t, b, 0).first, "what was not checkpointed comes again")
		})
	}
}

// The checkpoint moves in the order of the log, whatever the order of acknowledgements; a second one for the same batch is ignored.
func TestSubscriptionAckInAnyOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 9, "a-1")
	d, _ := startDesk(t, b, 3)
	d.wait(t, b, 2).ack(nil)
	d.wait(t, b, 1).ack(nil)
	awaitWitness(t, b)
	require.Equal(t, upTo(3), d.firsts(), "the first one is still to be acknowledged")
	awaitSQL(t, b, "0", readerCheckpoint)
	d.wait(t, b, 0).ack(nil)
	d.wait(t, b, 0).ack(errors.New("changed my mind"))
	d.wait(t, b, 2).ack(nil)
	awaitSQL(t, b, "3", readerCheckpoint)
	for i := 3; i < 9; i++ {
		d.wait(t, b, i).ack(nil)
	}
	awaitSQL(t, b, "9", `SELECT events::text FROM eventstream.subscription_shards WHERE subscription = 'reader'`)
	require.Equal(t, upTo(9), d.firsts()[:9])
}

// A batch that failed is tried again before the checkpoint passes it, and then all after it once more, so that the last time that each
// event comes is in order.
func TestSubscriptionAckWithAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 6, "a-1")
	d, _ := startDesk(t, b, 3)
	d.wait(t, b, 2)
	d.wait(t, b, 1).ack(errors.New("try again"))
	d.wait(t, b, 2).ack(nil)
	awaitWitness(t, b)
	require.Equal(t, upTo(3), d.firsts(), "nothing more is handed out once one failed")
	awaitSQL(t, b, "0", readerCheckpoint)
	d.wait(t, b, 0).ack(nil)
	awaitSQL(t, b, "1", readerCheckpoint)
	require.Equal(t, int64(2), d.wait(t, b, 3).first)
	awaitWitness(t, b)
	require.Len(t, d.firsts(), 4)
	d.wait(t, b, 3).ack(nil)
	for i := 4; i < 8; i++ {
		d.wait(t, b, i).ack(nil)
	}
	awaitSQL(t, b, "6", readerCheckpoint)
	require.Equal(t, []int64{1, 2, 3, 2, 3, 4, 5, 6}, d.firsts()[:8])
}

// An acknowledgement that comes between two looks of the subscription is not taken for a failure: nothing comes twice that ended well
// before the failed one.
func TestSubscriptionAckOfTheFirstAfterTheSecondFailed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 300
	given(t, b, "a-1", count)
	d := newDesk()
	config := quick(subscription.Stop)
	config.BatchSize, config.Window = 1, 2
	config.Observer = func(o subscription.Observation) {
		if failed, ok := o.(subscription.TryFailed); ok && failed.Err == nil {
			t.Error("told of no error")
		}
	}
	keepRunning(t, b, subscribe(t, b, "reader", d.handler(), config))
	settled := int64(0)
	for i := 0; settled < count; i++ {
		batch := d.wait(t, b, i)
		require.Greater(t, batch.first, settled, "%v", d.firsts())
		if batch.first == count {
			batch.ack(nil)
			settled = count
			continue
		}
		// The second fails, and while the subscription looks at that the first ends well.
		next := d.wait(t, b, i+1)
		next.ack(errors.New("try again"))
		batch.ack(nil)
		i++
		again := d.wait(t, b, i+1)
		require.Equal(t, next.first, again.first, "the one that failed comes next: %v", d.firsts())
		again.ack(nil)
		settled = again.first
		i++
	}
	awaitSQL(t, b, fmt.Sprint(count), readerCheckpoint)
}
