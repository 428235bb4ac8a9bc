package subscription

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// observationsAhead is how many observations may wait for their observer.
const observationsAhead = 1024

// teller tells the observer of one Run what happens, without anybody waiting for it.
type teller struct {
	subscription string
	observer     Observer
	queue        chan Observation
	missed       atomic.Int64
	// stop ends it once all that is queued by then was told; stopped is closed when that is so.
	stop, stopped chan struct{}
}

func newTeller(subscription string, observer Observer) *teller {
	t := &teller{
		subscription: subscription, observer: observer, queue: make(chan Observation, observationsAhead),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go t.serve()
	return t
}

// tell never waits.
func (t *teller) tell(o Observation) {
	select {
	case t.queue <- o:
	default:
		t.missed.Add(1)
	}
}

func (t *teller) serve() {
	defer close(t.stopped)
	for {
		select {
		case o := <-t.queue:
			t.observe(o)
			continue
		default:
		}
		select {
		case o := <-t.queue:
			t.observe(o)
		case <-t.stop:
			if len(t.queue) > 0 {
				continue
			}
			t.tellMissed()
			return
		}
	}
}

func (t *teller) observe(o Observation) {
	t.tellMissed()
	observe(t.observer, o)
}

func (t *teller) tellMissed() {
	if missed := t.missed.Swap(0); missed > 0 {
		observe(t.observer, ObservationsMissed{Subscription: t.subscription, Count: missed})
	}
}

// close returns when everything was told, or when the observer takes too long for that.
func (t *teller) close() {
	close(t.stop)
	timer := time.NewTimer(cleanupTimeout)
	defer timer.Stop()
	select {
	case <-t.stopped:
	case <-timer.C:
	}
}

// observe calls an observer. Its panic is logged, and is nobody else's.
func observe(observer Observer, o Observation) {
	defer func() {
		if value := recover(); value != nil {
			logPanic(value, debug.Stack())
		}
	}()
	observer(o)
}

func logPanic(value any, stack []byte) {
	// The logger may be what panicked.
	defer func() { _ = recover() }()
	slog.Error("gapless: observer panicked", "panic", value, "stack", string(stack))
}
