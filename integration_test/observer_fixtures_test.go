package integration_test

import (
	"sync"
	"testing"

	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// logTroubles is an observer that writes to the test's log what is not as it should be.
func logTroubles(t testing.TB) subscription.Observer {
	return func(o subscription.Observation) {
		switch o := o.(type) {
		case subscription.BatchHandled, subscription.ShardClaimed, subscription.ShardReleased:
		case subscription.TryFailed:
			t.Logf("subscription %s, position %d, %d tries: %v", o.Subscription, o.First.Position, o.Tries, o.Err)
		default:
			t.Logf("%T %+v", o, o)
		}
	}
}

// observed is an observer that keeps what it is told.
type observed struct {
	mu    sync.Mutex
	all   []subscription.Observation
	grown chan struct{}
}

func newWitness() *observed { return &observed{grown: make(chan struct{})} }

func (w *observed) observe(o subscription.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, o)
	close(w.grown)
	w.grown = make(chan struct{})
}

// toldOf is what an observer was told of one kind.
func toldOf[T subscription.Observation](w *observed) []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return ofKind[T](w.all)
}

func ofKind[T subscription.Observation](all []subscription.Observation) []T {
	var of []T
	for _, o := range all {
		if o, ok := o.(T); ok {
			of = append(of, o)
		}
	}
	return of
}

// awaitTold gives the first that an observer is told of one kind.
func awaitTold[T subscription.Observation](t testing.TB, b *bundle, w *observed) T {
	t.Helper()
	return awaitToldThat(t, b, w, func(T) bool { return true })
}

// awaitToldThat gives the first of one kind that is as wanted.
func awaitToldThat[T subscription.Observation](t testing.TB, b *bundle, w *observed, wanted func(T) bool) T {
	t.Helper()
	for {
		w.mu.Lock()
		of, grown := ofKind[T](w.all), w.grown
		w.mu.Unlock()
		for _, o := range of {
			if wanted(o) {
				return o
			}
		}
		select {
		case <-grown:
		case <-b.ctx.Done():
			t.Fatalf("nothing was told of %T\n%s", *new(T), sessionsOf(b))
		}
	}
}
