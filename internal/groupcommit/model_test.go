package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// model is a group with a database that keeps nothing but the order in which items were applied.
type model struct {
	t       *testing.T
	rt      *rapid.T
	group   *testGroup
	server  *server
	callers []*caller
	// applied are the places of items in the order of arrival, by key, as applied.
	applied map[string][]int
	// locked says that a stranger has the key "locked", lost that the next answer does not come.
	locked, lost bool
	// problem is the first thing that was wrong.
	problem string
}

var errLost = errors.New("lost")

// Whatever comes in whatever order, each acknowledged item was applied once, in order of arrival on each of its keys, each refused one
// never; there are never more statements than configured; and nobody waits for ever: in the bubble, a goroutine that nothing can wake is
// an error.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		config := complete(Config{
			InFlight: rapid.IntRange(1, 3).Draw(rt, "in flight"), Blocked: rapid.IntRange(1, 3).Draw(rt, "blocked"),
			Company: rapid.IntRange(1, 4).Draw(rt, "company"), Max: Size{Count: rapid.IntRange(1, 6).Draw(rt, "count")},
		})
		problem := ""
		var drawn any // what rapid stops a run with that it shrinks; it must not leave the bubble with calls under way
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, rt: rt, server: &server{t: t}, applied: map[string][]int{}}
			defer func() {
				if drawn = recover(); drawn != nil {
					m.drain()
				}
			}()
			m.group = New(config, m.server.run)
			m.server.answer = m.answer
			for range rapid.IntRange(1, 50).Draw(rt, "steps") {
				m.step()
			}
			m.finish()
			problem = m.problem
		})
		if drawn != nil {
			panic(drawn)
		}
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func (m *model) step() {
	switch rapid.SampledFrom([]string{"start", "start", "start", "answer", "answer", "lose", "cancel", "slow", "lock"}).Draw(m.rt, "step") {
	case "start":
		keys := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "hot", "bad", "locked"}), 1, 3, rapid.ID[string]).Draw(m.rt, "keys")
		size := Size{Count: rapid.IntRange(1, 3).Draw(m.rt, "size")}
		m.callers = append(m.callers, startSized(m.t, m.group, fmt.Sprint(strings.Join(keys, "+"), "#", len(m.callers)), size))
	case "answer":
		m.release(false)
	case "lose":
		m.release(true)
	case "cancel":
		if len(m.callers) > 0 {
			rapid.SampledFrom(m.callers).Draw(m.rt, "who").cancel()
		}
	case "slow":
		time.Sleep(m.group.pace.slow())
	case "lock":
		m.locked = !m.locked
	}
	m.check()
}

// open are the statements that have no answer yet; those that wait for the lock without end have none while it is held.
func (m *model) open() (open []*statement) {
	synctest.Wait()
	for _, s := range m.server.sent {
		if !s.over {
			open = append(open, s)
		}
	}
	return open
}

// release lets one of the statements have its answer.
func (m *model) release(lost bool) {
	open := slices.DeleteFunc(m.open(), func(s *statement) bool { return m.locked && s.wait == 0 && touches(s.items, "locked") })
	if len(open) == 0 {
		return
	}
	m.lost = lost
	close(open[rapid.IntRange(0, len(open)-1).Draw(m.rt, "which")].release)
	synctest.Wait()
}

// drain answers everything.
func (m *model) drain() {
	m.locked, m.lost = false, false
	for open := m.open(); len(open) > 0; open = m.open() {
		close(open[0].release)
	}
}

func (m *model) answer(items []*item, wait time.Duration) (Verdict, error) {
	if m.lost && rapid.Bool().Draw(m.rt, "not applied") {
		return Failed, errLost
	}
	if touches(items, "bad") && len(items) > 1 || len(items) == 1 && items[0].keys[0] == "bad" {
		return Suspect, errSuspect
	}
	if m.locked && touches(items, "locked") {
		if wait == 0 {
			return Failed, errLost
		}
		return Blocked, errLocked
	}
	for _, i := range items {
		var place int
		_, number, _ := strings.Cut(i.name, "#")
		_, _ = fmt.Sscan(number, &place)
		for _, k := range i.keys {
			m.applied[k] = append(m.applied[k], place)
		}
	}
	if m.lost {
		for _, i := range items {
			i.applied++
		}
		return Failed, errLost
	}
	return Settled, nil
}

// check looks at what must hold at any time.
func (m *model) check() {
	open := m.open()
	g := m.group
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := map[string]int{}
	endless := 0
	for i, s := range open {
		if s.wait == 0 {
			endless++
		}
		for _, item := range s.items {
			for _, k := range item.keys {
				if at, has := seen[k]; has && at != i {
					m.fail("key %s is in two statements at once", k)
				}
				seen[k] = i
			}
		}
	}
	if len(open) > g.config.InFlight+g.config.Blocked || endless > g.config.Blocked-1 || endless > g.endless {
		m.fail("%d statements, %d without end: %+v", len(open), endless, g.config)
	}
	if g.flying < 0 || g.flying > g.config.InFlight {
		m.fail("%d in flight", g.flying)
	}
	m.checkQueue()
}

// checkQueue demands that nobody waits who may go.
func (m *model) checkQueue() {
	g := m.group
	before := keySet[string]{}
	waiting, lines, free := 0, 0, map[state]int{}
	for _, c := range g.queue {
		if !g.busy.hasAny(c.keys) && !before.hasAny(c.keys) {
			free[c.state]++
		}
		before.add(c.keys)
		switch c.state {
		case ready:
			waiting += c.size.Count
		case locked:
			lines++
		}
	}
	if g.flying == 0 && free[ready] > 0 || !g.probing && free[suspect]+free[locked] > 0 || g.mayWaitEndlessly() && free[locked] > 0 {
		m.fail("somebody waits, and there is room: %v", free)
	}
	if free[locked] != lines {
		m.fail("%d of %d locked calls are behind others", lines-free[locked], lines)
	}
	if waiting != g.ready || lines != g.lines {
		m.fail("counted %d ready and %d lines, not %d and %d", g.ready, g.lines, waiting, lines)
	}
}

// finish answers everything, and compares what callers were told with what was applied.
func (m *model) finish() {
	m.drain()
	requireIdle(m.t, m.group)
	for i, c := range m.callers {
		if lowest, highest := c.mayBeApplied(); !c.done || c.applied < lowest || c.applied > highest {
			m.fail("item %d, %s: done %v, error %v, applied %d times", i, c.name, c.done, c.err, c.applied)
		}
		c.cancel()
	}
	for key, places := range m.applied {
		if !slices.IsSorted(places) {
			m.fail("key %s: applied in the order %v", key, places)
		}
	}
}

// mayBeApplied is how often an item may have been applied, given what its caller was told.
func (c *caller) mayBeApplied() (lowest, highest int) {
	var canceled *CanceledError
	switch {
	case c.err == nil:
		return 1, 1
	case errors.As(c.err, &canceled) && canceled.Sent, errors.Is(c.err, errLost), errors.Is(c.err, context.Canceled) && canceled == nil:
		return 0, 1
	}
	return 0, 0
}

func (m *model) fail(format string, args ...any) {
	if m.problem == "" {
		m.problem = fmt.Sprintf(format, args...)
	}
}
