package eventstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/db"
)

// groupModel is a group with a database that keeps nothing but the order in which events were applied.
type groupModel struct {
	t      *testing.T
	rt     *rapid.T
	group  *group
	server *groupServer
	users  []*groupUser
	// arrived is each event's place in the order of arrival; applied are the places per stream, as applied.
	arrived map[string]int
	applied map[string][]int
	// open are the statements that have no answer yet.
	open []*sentBatch
	// next is what the server answers next.
	next func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error)
	// problem is the first thing that was wrong.
	problem string
}

var errModelLost = fmt.Errorf("lost: %w", io.ErrUnexpectedEOF)

// Whatever comes in whatever order, each acknowledged append was applied once, in order of arrival within its stream, each refused one
// never, and nobody waits for ever: in the bubble, a goroutine that nothing can wake is an error.
func TestGroupModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		config := GroupConfig{InFlight: rapid.IntRange(1, 3).Draw(rt, "in flight"), MaxEvents: rapid.IntRange(1, 6).Draw(rt, "events")}
		if err := config.complete(); err != nil {
			rt.Fatal(err)
		}
		problem := ""
		synctest.Test(t, func(t *testing.T) {
			m := &groupModel{t: t, rt: rt, server: &groupServer{t: t}, arrived: map[string]int{}, applied: map[string][]int{}}
			m.group = newGroup(config, m.server.send)
			m.server.answer = m.answer
			for range rapid.IntRange(1, 40).Draw(rt, "steps") {
				m.step()
			}
			m.finish()
			problem = m.problem
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func (m *groupModel) step() {
	switch rapid.SampledFrom([]string{"start", "start", "start", "answer", "answer", "cancel", "slow"}).Draw(m.rt, "step") {
	case "start":
		m.start()
	case "answer":
		m.release(rapid.SampledFrom([]string{"ok", "ok", "ok", "lost"}).Draw(m.rt, "outcome"))
	case "cancel":
		if len(m.users) > 0 {
			rapid.SampledFrom(m.users).Draw(m.rt, "who").cancel()
		}
	case "slow":
		time.Sleep(slowBatch)
	}
	m.check()
}

// start begins an append: to a stream like any, to one whose appends fail with an error or a row, or to one that is locked.
func (m *groupModel) start() {
	stream := rapid.SampledFrom([]string{"a", "b", "hot", "hot", "bad", "refused", "locked"}).Draw(m.rt, "stream")
	u := startAppend(m.t, m.group, stream, rapid.IntRange(1, 3).Draw(m.rt, "n"))
	u.stream = stream
	m.arrived[u.eventID] = len(m.users)
	m.users = append(m.users, u)
}

// release lets the oldest statement or another one have its answer.
func (m *groupModel) release(outcome string) {
	m.collect()
	if len(m.open) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(m.rt, "which")
	batch := m.open[i]
	m.open = slices.Delete(m.open, i, i+1)
	m.next = m.apply
	if outcome == "lost" {
		m.next = func(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
			if rapid.Bool().Draw(m.rt, "applied") {
				_, _ = m.apply(p, lockTimeout)
			}
			return nil, errModelLost
		}
	}
	close(batch.release)
	synctest.Wait()
}

func (m *groupModel) answer(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
	return m.next(p, lockTimeout)
}

// apply does what append_batch does.
func (m *groupModel) apply(p db.EventAppendBatchParams, lockTimeout string) ([]db.EventAppendBatchRow, error) {
	if slices.Contains(p.StreamIds, "bad") {
		return nil, &pgconn.PgError{Severity: "ERROR", Code: "ES005"}
	}
	if lockTimeout != "" && slices.Contains(p.StreamIds, "locked") {
		return nil, &pgconn.PgError{Severity: "ERROR", Code: lockNotAvailable}
	}
	rows := appendedAll(p)
	event := 0
	for i, stream := range p.StreamIds {
		if stream == "refused" {
			rows[i] = db.EventAppendBatchRow{Outcome: "version_conflict"}
		} else {
			m.applied[stream] = append(m.applied[stream], m.arrived[p.EventIds[event]])
		}
		event += int(p.EventCounts[i])
	}
	return rows, nil
}

// collect looks which statements are under way.
func (m *groupModel) collect() {
	synctest.Wait()
	m.open = m.open[:0]
	for _, batch := range m.server.sent {
		select {
		case <-batch.release:
		case <-batch.ctx.Done():
		default:
			m.open = append(m.open, batch)
		}
	}
}

// check looks at what must hold at any time.
func (m *groupModel) check() {
	m.collect()
	seen := map[string]bool{}
	for _, batch := range m.open {
		for _, stream := range slices.Compact(slices.Sorted(slices.Values(batch.streams))) {
			if seen[stream] {
				m.fail("stream %s is in two statements at once", stream)
			}
			seen[stream] = true
		}
	}
	m.group.mu.Lock()
	defer m.group.mu.Unlock()
	if m.group.flying < 0 || m.group.flying > m.group.config.InFlight {
		m.fail("%d in flight of %d", m.group.flying, m.group.config.InFlight)
	}
	if m.group.flying == 0 {
		for _, call := range m.group.waiting {
			if !m.group.isBusy(call) {
				m.fail("a call to %s waits, and there is room", call.request.StreamID)
			}
		}
	}
}

// finish answers everything, and compares what callers were told with what was applied.
func (m *groupModel) finish() {
	for m.collect(); len(m.open) > 0; m.collect() {
		m.release("ok")
	}
	if len(m.group.waiting) > 0 || m.group.waitingEvents != 0 || len(m.group.busy) > 0 || m.group.flying != 0 {
		m.fail("left over: %d waiting, %d busy, %d in flight", len(m.group.waiting), len(m.group.busy), m.group.flying)
	}
	for i, u := range m.users {
		times := 0
		for _, place := range m.applied[u.stream] {
			if place == i {
				times++
			}
		}
		if lowest, highest := u.mayBeApplied(); !u.done || times < lowest || times > highest {
			m.fail("append %d to %s: done %v, error %v, applied %d times", i, u.stream, u.done, u.err, times)
		}
		u.cancel()
	}
	for stream, places := range m.applied {
		if !slices.IsSorted(places) {
			m.fail("stream %s: applied in the order %v", stream, places)
		}
	}
}

// mayBeApplied is how often an append may have been applied, given what its caller was told.
func (u *groupUser) mayBeApplied() (lowest, highest int) {
	var canceled *AppendCanceledError
	switch {
	case u.err == nil:
		return 1, 1
	case errors.As(u.err, &canceled) && canceled.Sent, errors.Is(u.err, errModelLost), errors.Is(u.err, context.Canceled) && canceled == nil:
		return 0, 1
	}
	return 0, 0
}

func (m *groupModel) fail(format string, args ...any) {
	if m.problem == "" {
		m.problem = fmt.Sprintf(format, args...)
	}
}
