package snapshot

import (
	"context"
	"sync"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	minPause = time.Second
	maxPause = 5 * time.Minute
)

// background makes snapshots beside the calls that found them due: one at a time, each stream once, no more than so many waiting, and after
// failures not for a while. The goroutine that works lasts as long as there is something to do.
type background struct {
	make    func(ctx context.Context, id eventstream.StreamID) error
	most    int
	timeout time.Duration
	now     func() time.Time
	// ctx ends when close breaks off what is under way.
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting []eventstream.StreamID
	known   map[eventstream.StreamID]bool
	// done is closed when the goroutine that works ends; nil while there is none.
	done   chan struct{}
	closed bool
	// pause is how long nothing is to be made after the last failure, and until when that is.
	pause time.Duration
	until time.Time
}

func newBackground(most int, timeout time.Duration, f func(ctx context.Context, id eventstream.StreamID) error) *background {
	ctx, cancel := context.WithCancel(context.Background())
	return &background{
		make: f, most: most, timeout: timeout, now: time.Now, ctx: ctx, cancel: cancel, known: map[eventstream.StreamID]bool{},
	}
}

// add has a snapshot made, and reports false if too many wait. During the pause after a failure, and after close, nothing is done about it.
func (b *background) add(id eventstream.StreamID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.known[id] || b.now().Before(b.until) {
		return true
	}
	if len(b.waiting) >= b.most {
		return false
	}
	b.known[id] = true
	b.waiting = append(b.waiting, id)
	if b.done == nil {
		b.done = make(chan struct{})
		go b.run(b.done)
	}
	return true
}

func (b *background) run(done chan struct{}) {
	defer close(done)
	for {
		id, more := b.next()
		if !more {
			return
		}
		ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
		err := b.make(ctx, id)
		cancel()
		b.learn(id, err)
	}
}

// next takes the stream that has waited longest, or says that none is left, and the goroutine is no more.
func (b *background) next() (id eventstream.StreamID, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 || b.closed {
		b.waiting, b.done = nil, nil
		clear(b.known)
		return "", false
	}
	id, b.waiting = b.waiting[0], b.waiting[1:]
	return id, true
}

// learn pauses after a failure, for twice as long as after the one before.
func (b *background) learn(id eventstream.StreamID, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, id)
	if err == nil {
		b.pause = 0
		return
	}
	b.pause = min(max(2*b.pause, minPause), maxPause)
	b.until = b.now().Add(b.pause)
}

func (b *background) flush(ctx context.Context) error {
	b.mu.Lock()
	done := b.done
	b.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *background) close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	err := b.flush(ctx)
	b.cancel()
	if err != nil {
		// What is under way ends soon: its context has ended.
		_ = b.flush(context.Background())
	}
	return err
}
