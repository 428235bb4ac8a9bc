package eventstream

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaplesspg/gapless/db"
)

// slowBatch is how long a batch may take before it no longer counts as one in flight: what it waits for, mostly the lock of another
// writer, must not keep others waiting.
const slowBatch = 20 * time.Millisecond

// besideOthers is how many events must wait before a batch flies beside another one: below, they cost less together.
const besideOthers = 16

// group lets Appends of one process share statements and commits. A call that finds none in flight runs at once, by itself. Calls that
// come meanwhile wait, and go together as soon as it is done, or when they are many: nobody waits for company, and the busier the
// database is, the larger batches are.
//
// A stream is in one batch at a time, so batches of one process never wait for each other, and calls for a busy stream gather into
// one batch.
type group struct {
	config GroupConfig
	// send runs requests, each on its own, and gives a row for each.
	send groupSend

	mu sync.Mutex
	// waiting are calls that are in no batch yet, in order of arrival. While none is in flight, the streams of all of them are busy.
	waiting []*groupCall
	// busy are the streams of batches that are not done.
	busy map[StreamID]struct{}
	// waitingEvents is how many events they have.
	waitingEvents int
	// arrived counts the calls that had to wait, ever.
	arrived atomic.Int64
	// flying is how many batches are in flight; slow ones are not counted.
	flying int
}

// flight is a batch's claim to one of the places in flight, which it gives back once: when it is done, or when it has become slow.
type flight struct {
	group *group
	timer *time.Timer
	// over says that the place was given back. Guarded by the group's mu.
	over bool
}

// groupSend runs requests. A lock timeout that is not empty holds for them.
type groupSend func(ctx context.Context, p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error)

func newGroup(config GroupConfig, send groupSend) *group {
	return &group{config: config, send: send, busy: map[StreamID]struct{}{}}
}

// append runs a request, alone or with others.
func (g *group) append(ctx context.Context, request AppendRequest) (AppendResult, error) {
	params, err := batchParams([]AppendRequest{request})
	if err != nil {
		return AppendResult{}, err
	}
	call := newGroupCall(request, params)
	g.mu.Lock()
	if g.flying == 0 && !g.isBusy(call) {
		f := g.takeOff(call)
		g.mu.Unlock()
		return g.runAlone(ctx, call, f)
	}
	g.mu.Unlock()
	call.own(ctx)
	g.mu.Lock()
	g.waiting = append(g.waiting, call)
	g.waitingEvents += call.events
	g.arrived.Add(1)
	g.dispatch()
	g.mu.Unlock()
	return g.wait(ctx, call)
}

// wait waits for the call's turn, for its result, or for the end of its context.
func (g *group) wait(ctx context.Context, call *groupCall) (AppendResult, error) {
	select {
	case f := <-call.turn:
		return g.runAlone(ctx, call, f)
	case <-call.done:
		return call.result, call.err
	case <-ctx.Done():
		return g.leave(ctx, call)
	}
}

// leave ends the wait of a call whose context has ended.
func (g *group) leave(ctx context.Context, call *groupCall) (AppendResult, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	canceled := &AppendCanceledError{StreamID: call.request.StreamID, Sent: call.batch != nil, Err: ctx.Err()}
	if call.batch == nil {
		g.forget(call)
		return AppendResult{}, canceled
	}
	select {
	case f := <-call.turn:
		// Its turn came at the same moment: it gives it on, unsent.
		canceled.Sent = false
		f.timer.Stop()
		f.end()
		g.release([]*groupCall{call})
	case <-call.done:
		return call.result, call.err
	default:
		call.left = true
		if call.batch.present--; call.batch.present == 0 {
			call.batch.cancel()
		}
	}
	return AppendResult{}, canceled
}

// forget takes a call out of those that wait. The caller holds mu.
func (g *group) forget(call *groupCall) {
	for i, c := range g.waiting {
		if c == call {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			g.waitingEvents -= call.events
			return
		}
	}
}

// runAlone runs a call as it would be without a group, under its own context.
func (g *group) runAlone(ctx context.Context, call *groupCall, f *flight) (AppendResult, error) {
	defer g.land(f, call)
	if err := ctx.Err(); err != nil {
		return AppendResult{}, &AppendCanceledError{StreamID: call.request.StreamID, Err: err}
	}
	rows, err := g.send(ctx, call.params, "")
	if err != nil {
		return AppendResult{}, appendFailed(ctx, call.request, mapError(err))
	}
	return appendOutcome(call.request, rows[0])
}

func (g *group) isBusy(call *groupCall) bool {
	_, busy := g.busy[call.request.StreamID]
	return busy
}

// takeOff claims a place in flight and the streams of calls. The caller holds mu.
func (g *group) takeOff(calls ...*groupCall) *flight {
	g.flying++
	for _, call := range calls {
		g.busy[call.request.StreamID] = struct{}{}
	}
	f := &flight{group: g}
	f.timer = time.AfterFunc(slowBatch, f.slow)
	return f
}

// slow gives a place back early.
func (f *flight) slow() {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.end()
	f.group.dispatch()
}

// end gives the place back, if it was not before. The caller holds mu.
func (f *flight) end() {
	if !f.over {
		f.over = true
		f.group.flying--
	}
}

// land ends a flight: its streams are free, and those who waited go.
func (g *group) land(f *flight, calls ...*groupCall) {
	f.timer.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	f.end()
	g.release(calls)
}

// release makes the streams of calls free, and lets those go who waited. The caller holds mu.
func (g *group) release(calls []*groupCall) {
	for _, call := range calls {
		delete(g.busy, call.request.StreamID)
	}
	g.dispatch()
}

// dispatch starts batches while there is room and somebody may go. The caller holds mu.
func (g *group) dispatch() {
	for g.flying == 0 || g.flying < g.config.InFlight && g.waitingEvents >= besideOthers {
		calls := g.take()
		if len(calls) == 0 {
			return
		}
		batch := g.newBatch(calls)
		f := g.takeOff(calls...)
		if len(calls) == 1 {
			batch.cancel()
			calls[0].turn <- f
			continue
		}
		go g.fly(batch, f)
	}
}

// take gives the next batch: those who wait, in order of arrival, whose stream is in no batch, up to the bounds. A call above the bounds
// goes alone. The caller holds mu.
func (g *group) take() []*groupCall {
	var calls []*groupCall
	events, bytes := 0, 0
	rest := g.waiting[:0]
	full := false
	for _, call := range g.waiting {
		busy := g.isBusy(call)
		full = full || !busy && len(calls) > 0 && (events+call.events > g.config.MaxEvents || bytes+call.bytes > g.config.MaxBytes)
		if full || busy {
			rest = append(rest, call)
			continue
		}
		calls = append(calls, call)
		events += call.events
		bytes += call.bytes
	}
	clear(g.waiting[len(rest):])
	g.waiting = rest
	g.waitingEvents -= events
	return calls
}
