package groupcommit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever has several keys waits for those before it on each, and is waited for on each.
func TestSeveralKeysAreNotOvertakenOnAny(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2, Company: 1}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a", "x", "a+b", "b", "b+c", "c", "d")
		require.Equal(t, []string{"a", "x"}, s.statements())
		s.release(1)
		require.Equal(t, []string{"a", "x", "d"}, s.statements(), "b and c are free, but a+b comes before them")
		s.release(2)
		require.Len(t, s.statements(), 3)
		s.release(0)
		require.Equal(t, "a+b b b+c c", s.statements()[3])
		s.release(3)
		requireApplied(t, c...)
	})
}

// Nothing is in flight but what is locked, and a call behind it in the queue has another key too: who comes later must not take that one.
func TestDoesNotRunAtOncePastSomebodyInTheQueue(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{Blocked: 2}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a")
		time.Sleep(g.pace.slow())
		c = append(c, startAll(t, g, "a+b", "b", "c")...)
		require.Equal(t, []string{"a", "c"}, s.statements())
		s.release(1, 0)
		require.Equal(t, "a+b b", s.statements()[2])
		s.release(2)
		requireApplied(t, c...)
	})
}

// Two keys that are never free at the same time, as others keep coming for either: an item with both has its turn all the same.
func TestSeveralKeysDoNotStarve(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2, Company: 1}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a#0", "b#0", "a+b")
		for i := 1; i < 10; i++ {
			c = append(c, startAll(t, g, fmt.Sprint("a#", i), fmt.Sprint("b#", i))...)
		}
		s.release(0)
		require.Len(t, s.statements(), 2, "a is free, and kept for it")
		s.release(1)
		require.Equal(t, "a+b", s.statements()[2][:3])
		s.releaseAll(2)
		requireApplied(t, c...)
	})
}

// Keys in any order, and twice in one item, and items that need each other's: nobody holds one key and waits for another.
func TestSeveralKeysDoNotDeadlock(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 3, Company: 1}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a+b", "b+a", "c+a+c", "b+c", "d+d", "c+b+a", "a")
		s.releaseAll(0)
		requireApplied(t, c...)
	})
}

// Those behind an item with several keys go when its caller leaves the queue.
func TestALeavingCallLetsThoseBehindItGo(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2, Company: 1}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a", "a+b", "b")
		require.Equal(t, []string{"a"}, s.statements())
		c[1].leave(t, false)
		require.Equal(t, []string{"a", "b"}, s.statements())
		s.release(0, 1)
		requireApplied(t, c[0], c[2])
		require.Zero(t, c[1].applied)
	})
}

// In flight, the keys of an item whose caller has left stay taken until its statement ends.
func TestALeavingCallInFlightKeepsItsKeys(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2, Company: 1}, func(t *testing.T, g *testGroup, s *server) {
		g.flying = 2 // no place until all three wait
		c := startAll(t, g, "a+b", "x", "b+c")
		g.mu.Lock()
		g.flying = 0
		g.dispatch()
		g.mu.Unlock()
		require.Equal(t, []string{"a+b x b+c"}, s.statements())
		c[0].leave(t, true)
		next := start(t, g, "a")
		require.Len(t, s.statements(), 1)
		s.release(0)
		require.Equal(t, "a", s.statements()[1])
		s.release(1)
		requireApplied(t, c[1], c[2], next)
	})
}

// A batch that touches one key alone keeps its place in the database's queue for that key; one of several must not keep the others waiting.
func TestALineKeepsItsPlaceInTheQueue(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 1, Blocked: 3}, func(t *testing.T, g *testGroup, s *server) {
		startAll(t, g, "hot")
		startAll(t, g, "hot", "hot", "hot")
		s.release(0)
		require.Equal(t, []string{"hot", "hot hot hot"}, s.statements())
		require.Zero(t, s.sent[1].wait, "as long as it takes")
		startAll(t, g, "hot", "cold")
		s.release(1)
		require.Equal(t, []string{"hot", "hot hot hot", "hot cold"}, s.statements())
		require.Positive(t, s.sent[2].wait)
		s.release(2)
	})
}
