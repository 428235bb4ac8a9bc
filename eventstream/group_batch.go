package eventstream

import (
	"context"
	"errors"
	"runtime"

	"github.com/jackc/pgx/v5/pgconn"
)

// lockNotAvailable is what a statement fails with after its lock timeout.
const lockNotAvailable = "55P03"

// lockTimeout is how long a batch of several streams waits for a lock. One of its streams is then in a long transaction of another
// writer; the others must not wait for that.
const lockTimeout = "30ms"

// apartTimeout is the same for each stream of a batch that has waited so long, once they are tried one by one.
const apartTimeout = "5ms"

// patience is how often letCome gives the processor away and nobody comes.
const patience = 200

// groupBatch are calls that go together.
type groupBatch struct {
	calls []*groupCall
	// present is how many of their callers still wait. Guarded by the group's mu.
	present int
	ctx     context.Context //nolint:containedctx // of all callers together: it ends when the last one has left
	cancel  context.CancelFunc
}

// newBatch puts calls into a batch. It goes on while one of their callers waits; what the context of the first carries beside its end,
// a trace for instance, is the batch's. The caller holds mu.
func (g *group) newBatch(calls []*groupCall) *groupBatch {
	b := &groupBatch{calls: calls}
	b.ctx, b.cancel = context.WithCancel(context.WithoutCancel(calls[0].ctx))
	for _, call := range calls {
		call.batch = b
		if !call.left {
			b.present++
		}
	}
	if b.present == 0 {
		b.cancel()
	}
	return b
}

// fly runs a batch of several calls.
func (g *group) fly(b *groupBatch, f *flight) {
	blocked := g.run(b.ctx, b.calls, lockTimeout)
	b.cancel()
	for _, calls := range byStream(blocked) {
		g.mu.Lock()
		late := g.newBatch(calls)
		g.mu.Unlock()
		go func() {
			defer late.cancel()
			g.run(late.ctx, calls, "")
			g.mu.Lock()
			defer g.mu.Unlock()
			g.release(calls)
		}()
	}
	g.letCome(len(b.calls))
	_, done := divide(b.calls, blocked)
	g.land(f, done...)
}

// letCome lets those callers run who got their results just now: what they append next goes along with those who wait. It gives the
// processor away as long as they come, and a little longer: some microseconds beside the milliseconds of a commit.
func (g *group) letCome(n int) {
	before := int(g.arrived.Load())
	for idle, came := 0, 0; idle < patience && came < n; idle++ {
		runtime.Gosched()
		if now := int(g.arrived.Load()) - before; now > came {
			came, idle = now, 0
		}
	}
}

// run sends calls in one statement and gives each its outcome. Those whose streams are locked by somebody for longer than the timeout
// come back without one; without a timeout, none does.
func (g *group) run(ctx context.Context, calls []*groupCall, timeout string) (blocked []*groupCall) {
	rows, err := g.send(ctx, mergeParams(calls), timeout)
	if err == nil {
		for i, call := range calls {
			call.result, call.err = appendOutcome(call.request, rows[i])
			close(call.done)
		}
		return nil
	}
	var cause *pgconn.PgError
	switch errors.As(err, &cause); {
	case timeout != "" && cause != nil && cause.Code == lockNotAvailable:
		return g.runApart(ctx, calls)
	case len(calls) > 1 && cause != nil && concernsOne(cause):
		// One of them is refused by an error rather than a row, and the statement with it: the halves tell which.
		half := len(calls) / 2
		blocked = g.run(ctx, calls[:half:half], timeout)
		return append(blocked, g.runAfter(ctx, blocked, calls[half:], timeout)...)
	}
	err = mapError(err)
	for _, call := range calls {
		call.err = err
		close(call.done)
	}
	return nil
}

// runApart runs calls stream by stream. Those of a stream that is locked come back.
func (g *group) runApart(ctx context.Context, calls []*groupCall) (blocked []*groupCall) {
	streams := byStream(calls)
	if len(streams) == 1 {
		return calls
	}
	for _, calls := range streams {
		blocked = append(blocked, g.run(ctx, calls, apartTimeout)...)
	}
	return blocked
}

// runAfter runs calls but for those that must follow others of their stream, which are blocked.
func (g *group) runAfter(ctx context.Context, blocked, calls []*groupCall, timeout string) []*groupCall {
	after, free := divide(calls, blocked)
	if len(free) == 0 {
		return after
	}
	return append(after, g.run(ctx, free, timeout)...)
}

// concernsOne says that an error of the database may come from one request, and leave the others whole once that is taken out. The
// statement failed, so nothing of it was applied.
func concernsOne(e *pgconn.PgError) bool {
	if e.Severity != "ERROR" && e.SeverityUnlocalized != "ERROR" {
		return false // the connection is gone: what became of the statement is not known
	}
	switch e.Code[:2] {
	case "08", "25", "3D", "3F", "53", "58": // connection, read-only, not installed, resources, the server's system
		return false
	case "42": // not installed, or an older schema; but rights may depend on the row
		return e.Code == insufficientPrivilege
	}
	return true
}

// byStream groups calls by stream, in order of arrival.
func byStream(calls []*groupCall) [][]*groupCall {
	at := map[StreamID]int{}
	var streams [][]*groupCall
	for _, call := range calls {
		i, ok := at[call.request.StreamID]
		if !ok {
			i = len(streams)
			at[call.request.StreamID] = i
			streams = append(streams, nil)
		}
		streams[i] = append(streams[i], call)
	}
	return streams
}

// divide tells calls whose streams are among those of others from the rest, both in their order.
func divide(calls, others []*groupCall) (among, rest []*groupCall) {
	if len(others) == 0 {
		return nil, calls
	}
	streams := map[StreamID]bool{}
	for _, call := range others {
		streams[call.request.StreamID] = true
	}
	for _, call := range calls {
		if streams[call.request.StreamID] {
			among = append(among, call)
		} else {
			rest = append(rest, call)
		}
	}
	return among, rest
}
