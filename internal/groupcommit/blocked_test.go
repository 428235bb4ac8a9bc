package groupcommit

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errLocked = errors.New("lock not available")

// locks lets nobody have a key who does not wait without end.
func locks(keys ...string) testAnswer {
	return func(items []*item, wait time.Duration) (Verdict, error) {
		if wait > 0 && touches(items, keys...) {
			return Blocked, errLocked
		}
		return Settled, nil
	}
}

// A key that somebody has locked is waited for apart from the others, in order, and a call that comes later waits behind.
func TestWaitsForALockApart(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("locked")
		c := startAll(t, g, "first", "a", "locked#1", "locked#2", "b")
		s.release(0, 1)
		require.Equal(t, []string{"first", "a locked#1 locked#2 b", "a locked#1 locked#2 b"}, s.statements())
		require.Equal(t, []time.Duration{0, g.pace.slow(), probe}, []time.Duration{s.sent[0].wait, s.sent[1].wait, s.sent[2].wait})
		other := start(t, g, "other")
		require.Equal(t, "other", s.statements()[3], "others go on meanwhile")
		s.release(2, 3)
		requireApplied(t, other)
		s.release(4, 5)
		require.Equal(t, []string{"a locked#1", "a", "locked#1"}, s.statements()[4:])
		s.release(6)
		require.Equal(t, []string{"b"}, s.statements()[7:], "locked#2 follows locked#1")
		s.release(7)
		require.Equal(t, []string{"locked#1 locked#2"}, s.statements()[8:])
		require.Zero(t, s.sent[8].wait, "waits as long as it takes")
		requireApplied(t, c[0], c[1], c[4])
		behind := start(t, g, "locked#3")
		require.Len(t, s.statements(), 9)
		s.release(8)
		requireApplied(t, c...)
		s.release(9)
		requireApplied(t, behind)
	})
}

// The first half of a batch is told apart from the second by an error, and has a key that is locked: what follows it in the second half
// must not overtake it.
func TestKeepsOrderPastALock(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = func(items []*item, wait time.Duration) (Verdict, error) {
			if touches(items, "bad") {
				return Suspect, errSuspect
			}
			return locks("locked")(items, wait)
		}
		c := startAll(t, g, "first", "a", "locked#1", "bad", "locked+x", "x", "b")
		s.releaseAll(0)
		require.ErrorIs(t, c[3].err, errSuspect)
		requireApplied(t, append(c[:3:3], c[4:]...)...)
		require.Less(t, s.appliedAt(t, "locked#1"), s.appliedAt(t, "locked+x"))
		require.Less(t, s.appliedAt(t, "locked+x"), s.appliedAt(t, "x"))
		require.Less(t, s.appliedAt(t, "b"), s.appliedAt(t, "locked#1"), "b touches nothing that is locked")
	})
}

// appliedAt says where an item is in the last statement that had it.
func (s *server) appliedAt(t *testing.T, name string) int {
	t.Helper()
	for i := len(s.sent) - 1; i >= 0; i-- {
		if at := slices.IndexFunc(s.sent[i].items, func(i *item) bool { return i.name == name }); at >= 0 {
			return 100*i + at
		}
	}
	t.Fatalf("%s was not sent", name)
	return 0
}

// An item with a key that is locked and one that is not is behind those that touch the free one alone: they do not wait with it.
func TestALineTouchesNothingButWhatItsFirstTouches(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("locked")
		c := startAll(t, g, "first", "a", "a+locked", "b")
		s.release(0)
		for range 6 {
			s.release(len(s.statements()) - 1)
		}
		requireApplied(t, c[0], c[1], c[3])
		last := s.sent[len(s.sent)-1]
		require.Equal(t, "a+locked", names(last.items))
		require.Zero(t, last.wait)
		s.release(len(s.sent) - 1)
	})
}

// The same the other way round: behind a locked key, an item with another one that is locked too waits for its own turn.
func TestALineIsNotHeldUpByWhatIsBehindIt(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("locked", "b")
		c := startAll(t, g, "locked")
		time.Sleep(g.pace.slow())
		c = append(c, startAll(t, g, "a", "x#1", "x+b", "x#2")...)
		s.answer = locks("x", "b")
		s.release(1, 2, 3, 4)
		require.Equal(t, []string{"locked", "a", "x#1 x+b x#2", "x#1 x+b x#2", "x#1", "x#1"}, s.statements())
		require.Equal(t, round, s.sent[5].wait)
		s.answer = nil
		s.releaseAll(0)
		requireApplied(t, c...)
	})
}

// Of a key that is waited for apart, the last caller leaves: its statement ends, and the key is free.
func TestEndsAStatementForALockedKeyThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("locked")
		c := startAll(t, g, "first", "a", "locked#1", "locked#2")
		s.release(0, 1, 2, 3, 4)
		requireApplied(t, c[0], c[1])
		last := s.sent[len(s.statements())-1]
		require.Equal(t, "locked#1 locked#2", names(last.items))
		c[2].leave(t, true)
		require.NoError(t, last.ctx.Err())
		c[3].leave(t, true)
		require.Error(t, last.ctx.Err())
	})
}

// Whose caller has left by the time that its batch meets a lock is not sent again, and nobody waits behind it.
func TestDropsWhoHasLeftWhenABatchMeetsALock(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("locked")
		c := startAll(t, g, "first", "a", "locked#1", "locked#2")
		s.release(0)
		c[2].leave(t, true)
		s.release(1)
		require.Equal(t, "a locked#2", s.statements()[2])
		s.releaseAll(2)
		requireApplied(t, c[0], c[1], c[3])
		require.Zero(t, c[2].applied)
	})
}

// A call that met a lock and waits in the queue was not applied.
func TestLeavesTheQueueOfTheLocked(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 1}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("x", "y")
		x, y := start(t, g, "x"), start(t, g, "y")
		s.release(0) // x is looked at, while y flies
		require.ElementsMatch(t, []string{"x", "y"}, s.statements()[1:])
		require.Equal(t, 1, x.detached, "it ran by itself, and waits for others now")
		s.releaseOf("x")
		require.Equal(t, "x", s.statements()[3], "x has the slot for turns")
		require.Equal(t, round, s.sent[3].wait)
		s.releaseOf("y")
		s.releaseOf("y") // looked at too
		y.leave(t, false)
		x.leave(t, true)
	})
}

// With one slot for what is locked, the keys take turns; whoever is free has its turn soon, though another is not.
func TestLockedKeysTakeTurns(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 1}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("x", "y", "z")
		c := startAll(t, g, "first", "x", "y", "z", "x#2")
		for i := range 12 {
			s.release(i)
		}
		order := s.statements()[len(s.statements())-6:]
		require.Equal(t, order[:3], order[3:], "%v", s.statements())
		require.ElementsMatch(t, []string{"x x#2", "y", "z"}, order[:3])
		require.Equal(t, round/3, s.sent[len(s.sent)-1].wait)
		require.Equal(t, 1, g.flying+len(s.sent)-12, "never two at a time")
		s.answer = nil
		s.releaseAll(12)
		requireApplied(t, c...)
	})
}

// A key has its turn, which may last a second: who is in a batch with another one that is locked does not wait for the end of that.
func TestNobodyWaitsForTheEndOfATurn(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 2} {
		t.Run(fmt.Sprint("InFlight", inFlight), func(t *testing.T) {
			t.Parallel()
			inGroup(t, Config{Blocked: 1, InFlight: inFlight}, func(t *testing.T, g *testGroup, s *server) {
				s.answer = locks("x", "y")
				x := startAll(t, g, "first", "x", "x#2")
				s.release(0, 1, 2)
				require.Equal(t, []string{"first", "x x#2", "x x#2", "x x#2"}, s.statements())
				require.Equal(t, round, s.sent[3].wait, "x has its turn, and it is not over")
				c := startAll(t, g, "second", "a", "y")
				s.release(4, 5)
				require.Equal(t, []string{"second", "a y", "a y"}, s.statements()[4:])
				require.Equal(t, probe, s.sent[6].wait)
				b := start(t, g, "b")
				require.Equal(t, inFlight == 2, slices.Contains(s.statements(), "b"), "it is one of those in flight")
				s.releaseOf("a y")
				s.releaseOf("a")
				requireApplied(t, c[1])
				require.False(t, s.sent[3].over)
				s.answer = nil
				s.releaseAll(0)
				requireApplied(t, append(append(x, c...), b)...)
			})
		})
	}
}

// However slow the database is, a batch of several lines gives up on a lock before anybody takes the wait for a deadlock.
func TestABatchGivesUpOnALockSoon(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		for range 100 {
			g.pace.note(time.Minute)
		}
		c := startAll(t, g, "first", "a", "b")
		s.release(0, 1)
		require.Equal(t, []string{"first", "a b"}, s.statements())
		require.Greater(t, g.pace.slow(), longestWait)
		require.Equal(t, longestWait, s.sent[1].wait)
		requireApplied(t, c...)
	})
}

// A call by itself waits without end, and no longer counts when it is slow; but one slot is left for turns.
func TestACallByItselfDoesNotCountWhenSlow(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		slow, next := start(t, g, "a"), start(t, g, "b")
		require.Equal(t, []string{"a"}, s.statements())
		time.Sleep(g.pace.slow())
		require.Equal(t, []string{"a", "b"}, s.statements())
		require.Equal(t, []time.Duration{0, g.pace.slow()}, []time.Duration{s.sent[0].wait, s.sent[1].wait})
		s.release(0)
		c := start(t, g, "c")
		require.Len(t, s.statements(), 2, "its place is not given back twice")
		s.release(1, 2)
		requireApplied(t, slow, next, c)
		require.Zero(t, s.sent[2].wait)
	})
}

// A call ran by itself and met a lock: those that came meanwhile stay behind it.
func TestACallByItselfKeepsItsPlaceWhenItMeetsALock(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 1}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = locks("x")
		c := startAll(t, g, "x", "x+y", "y")
		s.release(0)
		require.Equal(t, []string{"x", "x"}, s.statements())
		s.answer = nil
		s.release(1)
		require.Equal(t, "x+y y", s.statements()[2])
		s.release(2)
		requireApplied(t, c...)
	})
}
