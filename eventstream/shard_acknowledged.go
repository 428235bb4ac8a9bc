package eventstream

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// errRewind ends a session whose last batches have to be handed out once more.
var errRewind = errors.New("a batch before the last ones failed")

// ackBatch is a page that was handed out and is not checkpointed yet: events to the handler, behind to nobody.
type ackBatch struct {
	page
	handed, behind []LogEvent
	ended          bool
	err            error
}

// ackQueue holds the batches under way, in order of the log.
type ackQueue struct {
	mu      sync.Mutex
	batches []*ackBatch
	// signal has room for one: something ended.
	signal chan struct{}
}

// end notes how a batch ended; the first time counts.
func (q *ackQueue) end(b *ackBatch, err error) {
	q.mu.Lock()
	if !b.ended {
		b.ended, b.err = true, err
	}
	q.mu.Unlock()
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// state returns how many batches are there, whether one failed, and whether all have ended.
func (q *ackQueue) state() (count int, failed, allEnded bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	allEnded = true
	for _, b := range q.batches {
		failed = failed || b.err != nil
		allEnded = allEnded && b.ended
	}
	return len(q.batches), failed, allEnded
}

// takeDone removes the batches at the front that ended well.
func (q *ackQueue) takeDone() []*ackBatch {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.batches) && q.batches[n].ended && q.batches[n].err == nil {
		n++
	}
	done := q.batches[:n:n]
	q.batches = q.batches[n:]
	return done
}

// processAcknowledged hands out batches while the window has room, and moves the checkpoint as they are acknowledged in order. Once
// one failed nothing more is handed out: when all have ended, it is tried again, and then all after it, so that the last time that each
// event comes is in order.
func (w *shardWorker) processAcknowledged(ctx context.Context, pages <-chan page) error {
	q := &ackQueue{signal: make(chan struct{}, 1)}
	for {
		if err := w.settle(ctx, q); err != nil {
			return err
		}
		count, failed, allEnded := q.state()
		if failed && allEnded {
			if err := w.retryFailed(ctx, q); err != nil {
				return err
			}
			continue
		}
		next, draining := pages, w.draining
		if failed || count >= w.sub.config.Window {
			next = nil
		}
		if count > 0 {
			draining = nil // first let those under way end
			if isClosed(w.draining) {
				next = nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-draining:
			return errDrained
		case <-q.signal:
		case p := <-next:
			if err := w.handOut(ctx, q, p); err != nil {
				return err
			}
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// handOut gives a page to the handler.
func (w *shardWorker) handOut(ctx context.Context, q *ackQueue, p page) error {
	p.events = w.due(p.events)
	events, behind, err := w.admit(ctx, p.events)
	if err != nil {
		return err
	}
	if count, _, _ := q.state(); count == 0 && len(p.events) == 0 {
		w.idle.Store(p.upto)
		w.recycle(p)
		return nil
	}
	b := &ackBatch{page: p, handed: events, behind: behind, ended: len(events) == 0}
	if p.unreadable != nil && len(p.events) > 0 {
		b.ended, b.err = true, p.unreadable // so that it is seen to in its turn
	}
	q.mu.Lock()
	q.batches = append(q.batches, b)
	q.mu.Unlock()
	if len(events) > 0 && !b.ended {
		w.start(ctx, events, func(err error) { q.end(b, err) })
	}
	return nil
}

// start calls the handler; ack is called once it has ended, by whoever comes first.
func (w *shardWorker) start(ctx context.Context, events []LogEvent, ack func(error)) {
	switch h := w.sub.handler.(type) {
	case EffectHandler:
		ack(call(func() error { return h(ctx, w.lend(events)) }))
	case AsyncHandler:
		if err := call(func() error { h(ctx, slices.Clone(events), ack); return nil }); err != nil {
			ack(err)
		}
	}
}

// callAndWait calls the handler and waits for its acknowledgement.
func (w *shardWorker) callAndWait(ctx context.Context, events []LogEvent) error {
	ended := make(chan error, 1)
	var once sync.Once
	w.start(ctx, events, func(err error) { once.Do(func() { ended <- err }) })
	select {
	case err := <-ended:
		return asFailure(err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func asFailure(err error) error {
	var failure *handlerFailure
	if err == nil || errors.As(err, &failure) {
		return err
	}
	return &handlerFailure{err}
}

// settle moves the checkpoint over what was acknowledged, in one statement for all of it.
func (w *shardWorker) settle(ctx context.Context, q *ackQueue) error {
	done := q.takeDone()
	if len(done) == 0 {
		return nil
	}
	events, behind := 0, []LogEvent(nil)
	for _, b := range done {
		events += len(b.handed)
		behind = append(behind, b.behind...)
	}
	if err := w.checkpointAt(ctx, events, behind, done[len(done)-1].upto); err != nil {
		return err
	}
	for _, b := range done {
		w.recycle(b.page)
	}
	return nil
}

// retryFailed tries again what failed at the front of the queue, event by event where need be.
func (w *shardWorker) retryFailed(ctx context.Context, q *ackQueue) error {
	q.mu.Lock()
	b, more := q.batches[0], len(q.batches) > 1
	q.mu.Unlock()
	if b.err == nil {
		return nil // it ended well since the last look
	}
	if err := w.ending(ctx); err != nil {
		return err // which is why it failed
	}
	var err error
	if b.unreadable != nil {
		err = w.giveUpUnreadable(ctx, b.page)
	} else {
		err = w.deliverApart(ctx, b.page, unwrapFailure(b.err))
	}
	if err != nil {
		return err
	}
	if more {
		return errRewind
	}
	w.recycle(b.page)
	q.batches = nil
	return nil
}

// unwrapFailure is the error that a handler returned.
func unwrapFailure(err error) error {
	var failure *handlerFailure
	if errors.As(err, &failure) {
		return failure.err
	}
	return err
}
