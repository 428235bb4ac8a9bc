package process

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/pause"
)

const (
	// pageOfTimers is how many due timers are looked up at a time: the index is walked once for so many, and a process holds no more.
	pageOfTimers = 100
	// longestPollBackoff is the longest pause while the database is away.
	longestPollBackoff = 5 * time.Second
)

// A Timers is a job of a subscription.Runner.
var _ subscription.Job = (*Timers)(nil)

// Name names it among the jobs of a subscription.Runner: the process and ":timers", since the name of the process may be that of a subscription.
func (t *Timers) Name() string { return t.name + ":timers" }

// Lag is nothing: timers have no shards. List says what is due.
func (t *Timers) Lag(context.Context) ([]subscription.ShardLag, error) { return nil, nil }

// Run handles timers until ctx ends; then it waits for the handlers that are at work, whose context has ended too, and returns nil. Any number
// of processes may run the same timers.
//
// It returns an error when it cannot start: ErrReadOnly on a standby, an error that matches ErrNotMigrated. And it returns ErrTxEnded when the
// handler ended its transaction. A database that is away, or has become a standby meanwhile, is none of these: Run goes on once it can.
func (t *Timers) Run(ctx context.Context) error {
	for again := t.pollBackoff(); ctx.Err() == nil; _ = again.Wait(ctx) {
		next, err := t.next(ctx)
		switch {
		case err == nil && next.ReadOnly:
			return eventstream.ErrReadOnly
		case err == nil:
			return t.run(ctx)
		case ctx.Err() != nil:
			return nil
		case isFinal(err) || !isAway(err):
			return err
		}
		t.config.OnError(err)
	}
	return nil
}

func (t *Timers) next(ctx context.Context) (db.TimerNextRow, error) {
	row, err := db.New().TimerNext(ctx, t.core.Pool(), t.name)
	return row, explain(t.core, err)
}

func (t *Timers) pollBackoff() *pause.Backoff {
	return pause.NewBackoff(t.config.PollInterval, max(t.config.PollInterval, longestPollBackoff))
}

// timersRun is one Run: a feeder, which looks up what is due, and workers. A handler that does not come to an end costs a worker, and nothing
// else.
type timersRun struct {
	t    *Timers
	work chan []TimerRef
	// done says that a worker has got through a timer, so that there may be a next one; failed is an error of the database.
	done   chan struct{}
	failed chan error

	mu sync.Mutex
	// inHand is what was given to workers: it still looks due to a feeder that looks again.
	inHand map[TimerRef]bool
	// atWork are the batches that workers are at.
	atWork map[*timerBatch]bool
}

func (t *Timers) newRun() *timersRun {
	return &timersRun{
		t: t, work: make(chan []TimerRef), done: make(chan struct{}, 1), failed: make(chan error, 1),
		inHand: map[TimerRef]bool{}, atWork: map[*timerBatch]bool{},
	}
}

func (t *Timers) run(ctx context.Context) error {
	r := t.newRun()
	var workers sync.WaitGroup
	for range t.config.Workers {
		workers.Go(func() { r.serve(ctx) })
	}
	err := r.rounds(ctx)
	close(r.work)
	workers.Wait()
	return err
}

// serve is a worker.
func (r *timersRun) serve(ctx context.Context) {
	for refs := range r.work {
		batch := r.begin(refs)
		// By then the server may have ended the transaction of a handler that hangs: others may take what this worker does not get to.
		late := time.AfterFunc(r.t.config.IdleTimeout, func() { r.letGo(refs) })
		fired, err := r.t.fire(ctx, batch)
		late.Stop()
		r.letGo(refs)
		r.end(batch)
		if err != nil {
			select {
			case r.failed <- err:
			default: // another worker said so
			}
		}
		if fired {
			select {
			case r.done <- struct{}{}:
			default:
			}
		}
	}
}

// rounds looks at what is due again and again.
func (r *timersRun) rounds(ctx context.Context) error {
	again := r.t.pollBackoff()
	for ctx.Err() == nil {
		err := r.feed(ctx)
		if err == nil {
			err = r.rest(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case isFinal(err):
			return err
		case err != nil:
			r.t.config.OnError(err)
			_ = again.Wait(ctx)
		default:
			again.Reset()
		}
	}
	return nil
}

// rest waits for a while, or until a worker has got through a timer, or could not.
func (r *timersRun) rest(ctx context.Context) error {
	wait, err := r.t.idle(ctx)
	if err != nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.done:
	case err = <-r.failed:
	case <-ctx.Done():
	}
	return err
}

// idle is how long there is nothing to do: until the next timer is due, though never so long that a clock that is set, or a timer that
// another process sets, is noticed late.
func (t *Timers) idle(ctx context.Context) (time.Duration, error) {
	next, err := t.next(ctx)
	wait := t.config.PollInterval
	// What is due already is in other hands: it comes up again after a while, should these fail.
	if err == nil && next.Waits && next.Seconds > 0 && next.Seconds < wait.Seconds() {
		wait = time.Duration(next.Seconds*float64(time.Second)) + time.Millisecond
	}
	return wait, err
}

// feed goes once through everything that is due by now, page by page. What others have taken meanwhile is passed over, so however much is in
// their hands, it gets to the rest.
func (r *timersRun) feed(ctx context.Context) error {
	behind := db.TimerDueRow{}
	for {
		page, err := db.New().TimerDue(ctx, r.t.core.Pool(), db.TimerDueParams{
			Process: r.t.name, AfterAt: behind.NextAt, AfterKey: behind.Key, AfterName: behind.Name, PageSize: pageOfTimers,
		})
		if err != nil || len(page) == 0 {
			return explain(r.t.core, err)
		}
		behind = page[len(page)-1]
		if err := r.hand(ctx, page); err != nil || len(page) < pageOfTimers {
			return err
		}
	}
}

// hand gives a page to the workers, in batches whose order is drawn by lot, since other processes look at the same page.
func (r *timersRun) hand(ctx context.Context, page []db.TimerDueRow) error {
	batches := r.batches(page)
	rand.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	for i, refs := range batches {
		var err error
		select {
		case r.work <- refs:
			continue
		case err = <-r.failed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		r.letGo(slices.Concat(batches[i:]...))
		return err
	}
	return nil
}

// batches divides what of a page no worker has or is at: evenly among them, as far as a batch may be as large. What has failed before is by
// itself, so that it takes no others along, and so is a second timer of a key: the first one may cancel it.
func (r *timersRun) batches(page []db.TimerDueRow) (batches [][]TimerRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var together []TimerRef
	keys := map[string]bool{}
	for _, due := range page {
		ref := TimerRef{Process: r.t.name, Key: due.Key, Name: due.Name}
		if r.inHand[ref] || r.isHandled(ref) {
			continue
		}
		r.inHand[ref] = true
		if due.Failed || keys[due.Key] {
			batches = append(batches, []TimerRef{ref})
			continue
		}
		keys[due.Key] = true
		together = append(together, ref)
	}
	each := (len(together) + r.t.config.Workers - 1) / r.t.config.Workers
	inTime := int(int64(batchTime) / max(r.t.pace.Load(), 1))
	size := max(1, min(each, r.t.config.BatchSize, inTime))
	return append(batches, slices.Collect(slices.Chunk(together, size))...)
}

// isHandled says whether a worker's handler is at a timer. It may hang there, with a transaction that the server has ended, and would have the
// next worker hang as well. The caller holds mu.
func (r *timersRun) isHandled(ref TimerRef) bool {
	for batch := range r.atWork {
		if batch.at != nil && *batch.at == ref {
			return true
		}
	}
	return false
}

// begin says that a worker is at a batch.
func (r *timersRun) begin(refs []TimerRef) *timerBatch {
	r.mu.Lock()
	defer r.mu.Unlock()
	batch := &timerBatch{run: r, refs: refs}
	r.atWork[batch] = true
	return batch
}

// reach says that the handler is to be called for a timer, unless another worker's is at it: a batch that has waited for a worker was made before
// that one got there.
func (b *timerBatch) reach(ref TimerRef) bool {
	b.run.mu.Lock()
	defer b.run.mu.Unlock()
	b.at = nil
	if b.run.isHandled(ref) {
		return false
	}
	b.at = &ref
	return true
}

func (r *timersRun) end(batch *timerBatch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.atWork, batch)
}

func (r *timersRun) letGo(refs []TimerRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ref := range refs {
		delete(r.inHand, ref)
	}
}

// isFinal reports whether trying again cannot help.
func isFinal(err error) bool {
	return errors.Is(err, eventstream.ErrTxEnded) || errors.Is(err, eventstream.ErrNotMigrated) || errors.Is(err, puddle.ErrClosedPool)
}

// isAway reports whether an error tells of the condition of the server, so that waiting may help.
func isAway(err error) bool { return !subscription.JudgeError(err, true).Counts }
