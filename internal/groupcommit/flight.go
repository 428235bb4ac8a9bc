package groupcommit

import (
	"context"
	"runtime"
	"time"
)

// patience is how often letCome gives the processor away and nobody comes.
const patience = 200

// flight is a batch that is being sent.
type flight[K comparable, T Item[K]] struct {
	calls []*call[K, T]
	kind  kind
	// wait is how long it waits for a lock; 0 is without end. After slow, one without end no longer counts.
	wait, slow time.Duration
	// ctx is that of the call, or of all callers together: then it ends when the last one has left. cancel is nil for the first.
	ctx    context.Context //nolint:containedctx // see above
	cancel context.CancelFunc

	// The group's mu guards what follows.

	// present is how many of the callers still wait.
	present int
	// counted says that it is one of those in flight.
	counted bool
}

// kind is what a flight is for.
type kind int

const (
	// usual flights are of calls that are ready.
	usual kind = iota
	// probing flights find out which of the calls that met a lock are locked.
	probing
	// turning flights wait for a locked key for a while.
	turning
	// waiting flights wait for a locked key without end.
	waiting
)

// newFlight claims the keys of calls. The caller holds mu.
func (g *Group[K, T]) newFlight(calls []*call[K, T], kind kind, wait time.Duration) *flight[K, T] {
	f := &flight[K, T]{calls: calls, kind: kind, wait: wait, present: len(calls)}
	for _, c := range calls {
		c.flight = f
		g.busy.add(c.keys)
	}
	if wait == 0 {
		g.endless++
	}
	return f
}

// takeOff makes a usual flight. A call by itself, and calls that touch nothing else, wait for a lock without end, as they would without a
// group, unless too many do: who gives up a place in a queue of many processes begins at its end again. When the flight turns out to be
// slow, it no longer counts. The caller holds mu.
func (g *Group[K, T]) takeOff(calls []*call[K, T]) *flight[K, T] {
	slow := g.pace.slow()
	wait := min(slow, longestWait)
	if isLine(calls) && g.mayWaitEndlessly() {
		wait = 0
	}
	f := g.newFlight(calls, usual, wait)
	f.slow, f.counted = slow, true
	g.flying++
	return f
}

// launch lets a flight go on while one of its callers waits; what the context of the first carries beside its end, a trace for instance,
// is the flight's.
func (g *Group[K, T]) launch(f *flight[K, T]) {
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(f.calls[0].ctx))
	go g.fly(f)
}

// fly sends a flight's calls, and then lets those go that waited for it.
func (g *Group[K, T]) fly(f *flight[K, T]) {
	if f.counted && f.wait == 0 {
		defer time.AfterFunc(f.slow, func() { g.slow(f) }).Stop()
	}
	late := g.send(f, f.calls)
	if f.cancel != nil {
		f.cancel()
	}
	for _, c := range late {
		c.detach()
	}
	if f.kind == usual && len(f.calls) > 1 {
		g.letCome(len(f.calls) - len(late))
	}
	g.land(f, late)
}

// send sends calls and settles them. Those that met a lock come back, and with them those that must not overtake them.
func (g *Group[K, T]) send(f *flight[K, T], calls []*call[K, T]) (late []*call[K, T]) {
	items := make([]T, len(calls))
	for i, c := range calls {
		items[i] = c.item
	}
	began := time.Now()
	verdict, err := g.run(f.ctx, items, f.wait)
	switch {
	case verdict == Blocked && (f.kind == usual || isLine(calls)):
		return calls
	case (verdict == Blocked || verdict == Suspect) && len(calls) > 1:
		return g.sendHalves(f, calls)
	}
	g.settle(f, calls, err, time.Since(began))
	return nil
}

// sendHalves finds out which of the calls kept all from being applied.
func (g *Group[K, T]) sendHalves(f *flight[K, T], calls []*call[K, T]) []*call[K, T] {
	half := len(calls) / 2
	late := g.send(f, calls[:half])
	behind, free := divide(calls[half:], late)
	late = append(late[:len(late):len(late)], behind...)
	if len(free) > 0 {
		late = append(late, g.send(f, free)...)
	}
	return late
}

// settle tells callers what became of their items.
func (g *Group[K, T]) settle(f *flight[K, T], calls []*call[K, T], err error, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && f.kind == usual {
		g.pace.note(took)
	}
	here := 0
	for _, c := range calls {
		if !c.left {
			here++
		}
		c.err = err
		close(c.done)
	}
	f.leave(here)
}

// leave notes that callers of a flight wait no more. The caller holds mu.
func (f *flight[K, T]) leave(callers int) {
	if f.present -= callers; f.present == 0 && f.cancel != nil {
		f.cancel()
	}
}

// letCome lets those callers run who got their results just now: what they send next goes along with those who wait. It gives the
// processor away as long as they come, and a little longer: some microseconds beside the milliseconds of a commit. Without it, callers
// split into halves that take turns, and make about a quarter less (docs/design.md has the figures).
func (g *Group[K, T]) letCome(n int) {
	before := int(g.arrived.Load())
	for idle, came := 0, 0; idle < patience && came < n; idle++ {
		runtime.Gosched()
		if now := int(g.arrived.Load()) - before; now > came {
			came, idle = now, 0
		}
	}
}

// slow gives the place of a flight back early: it waits for somebody's lock.
func (g *Group[K, T]) slow(f *flight[K, T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uncount(f)
	g.dispatch()
}

// uncount gives the place in flight back, if it was not before. The caller holds mu.
func (g *Group[K, T]) uncount(f *flight[K, T]) {
	if f.counted {
		f.counted = false
		g.flying--
	}
}

// land ends a flight: its keys are free, those who waited go, and late ones wait again.
func (g *Group[K, T]) land(f *flight[K, T], late []*call[K, T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uncount(f)
	g.leaveBlocked(f)
	for _, c := range f.calls {
		c.flight = nil
		g.busy.remove(c.keys)
	}
	g.putBack(late, f.kind)
	g.dispatch()
}
