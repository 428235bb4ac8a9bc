package subscription

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errRewind ends a session whose last batches have to be handed out once more.
var errRewind = errors.New("a batch before the last ones failed")

// ackBatch is a part that was handed out and is not checkpointed yet.
type ackBatch struct {
	part
	began time.Time
	ended bool
	err   error
	// tried says that the failure was looked into.
	tried bool
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

// done returns the batches at the front that ended well.
func (q *ackQueue) done() []*ackBatch {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.batches) && q.batches[n].ended && q.batches[n].err == nil {
		n++
	}
	return q.batches[:n:n]
}

// remove removes batches at the front.
func (q *ackQueue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.batches = q.batches[n:]
}

// processAcknowledged hands out batches while the window has room, and moves the checkpoint as they are acknowledged in order. Once
// one failed nothing more is handed out: when all have ended, it is tried again, and then all after it, so that the last time that each
// event comes is in order.
func (w *shardWorker) processAcknowledged(ctx context.Context, pages <-chan page) error {
	q := &ackQueue{signal: make(chan struct{}, 1)}
	err := w.handOutAll(ctx, q, pages)
	if ctx.Err() != nil {
		w.settleLate(ctx, q)
	}
	return err
}

func (w *shardWorker) handOutAll(ctx context.Context, q *ackQueue, pages <-chan page) error {
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
	b := &ackBatch{part: part{page: p, handed: events, behind: behind}, began: time.Now(), ended: len(events) == 0}
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

// settle moves the checkpoint over what was acknowledged, in one statement for all of it.
func (w *shardWorker) settle(ctx context.Context, q *ackQueue) error {
	done := q.done()
	if len(done) == 0 {
		return nil
	}
	all := done[0].part
	for _, b := range done[1:] {
		all.handed = append(all.handed[:len(all.handed):len(all.handed)], b.handed...)
		all.behind = append(all.behind[:len(all.behind):len(all.behind)], b.behind...)
		all.upto = b.upto
	}
	if err := w.checkpointAt(ctx, all, done[0].began); err != nil {
		return err
	}
	q.remove(len(done))
	for _, b := range done {
		w.recycle(b.page)
	}
	return nil
}

// settleLate moves the checkpoint over what was acknowledged before the session was told to end, so that it does not come again. If that is
// not possible any more, it does.
func (w *shardWorker) settleLate(ctx context.Context, q *ackQueue) {
	if w.settle(ctx, q) != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) > 0 && q.batches[0].err != nil && !q.batches[0].tried {
		w.keepHandled(ctx, q.batches[0].part, asFailure(q.batches[0].err))
	}
}

// retryFailed tries again what failed at the front of the queue, event by event where need be.
func (w *shardWorker) retryFailed(ctx context.Context, q *ackQueue) error {
	q.mu.Lock()
	b, more := q.batches[0], len(q.batches) > 1
	q.mu.Unlock()
	if b.err == nil {
		return nil // it ended well since the last look
	}
	b.tried = true
	var err error
	if b.unreadable != nil {
		if err = w.ending(ctx); err == nil {
			err = w.giveUpUnreadable(ctx, b.page)
		}
	} else {
		err = w.deliverFailed(ctx, b.part, asFailure(b.err))
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
