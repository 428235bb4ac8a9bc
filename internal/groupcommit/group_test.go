package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunsAtOnceOrWithTheNext(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2}, func(t *testing.T, g *testGroup, s *server) {
		a := start(t, g, "a")
		require.Equal(t, []string{"a"}, s.statements(), "at once, by itself")
		bc := startAll(t, g, "b", "c")
		require.Len(t, s.statements(), 1, "the next two wait")
		s.release(0)
		require.Equal(t, []string{"a", "b c"}, s.statements(), "and go together")
		requireApplied(t, a)
		s.release(1)
		requireApplied(t, bc...)
	})
}

// A call by itself runs under its caller's context, deadline and all, and is not detached; calls that waited are, once.
func TestRunsByItselfUnderItsOwnContext(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		type key struct{}
		i := &item{name: "a", keys: []string{"a"}}
		ctx := context.WithValue(t.Context(), key{}, "a")
		go func() { _ = g.Do(ctx, i) }()
		synctest.Wait()
		b := start(t, g, "b")
		require.Equal(t, ctx, s.sent[0].ctx)
		require.Zero(t, i.detached)
		s.release(0, 1)
		require.Nil(t, s.sent[1].ctx.Value(key{}))
		require.Equal(t, 1, b.detached)
	})
}

func TestCarriesTheFirstCallersValues(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		type key struct{}
		start(t, g, "a")
		ctx := context.WithValue(t.Context(), key{}, "trace")
		go func() { _ = g.Do(ctx, &item{name: "b", keys: []string{"b"}}) }()
		synctest.Wait()
		start(t, g, "c")
		s.release(0)
		require.Equal(t, []string{"a", "b c"}, s.statements())
		require.Equal(t, "trace", s.sent[1].ctx.Value(key{}))
		s.release(1)
	})
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var canceled *CanceledError
		require.ErrorAs(t, g.Do(ctx, &item{keys: []string{"a"}}), &canceled)
		require.False(t, canceled.Sent)
		require.EqualError(t, canceled, "context canceled (sent: false)")
		require.Empty(t, s.statements())
	})
}

func TestFliesBesideAnotherBatchWhenManyWait(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2, Company: 16}, func(t *testing.T, g *testGroup, s *server) {
		calls := startAll(t, g, "first")
		for i := range 33 {
			calls = append(calls, start(t, g, fmt.Sprint("s", i)))
			if i < 15 {
				require.Len(t, s.statements(), 1)
			} else {
				require.Len(t, s.statements(), 2, "two in flight, as configured")
			}
		}
		require.Len(t, s.sent[1].items, 16)
		s.release(1)
		require.Len(t, s.statements(), 3)
		require.Len(t, s.sent[2].items, 17)
		s.release(0, 2)
		requireApplied(t, calls...)
	})
}

func TestKeepsAKeyInOneBatch(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{InFlight: 2}, func(t *testing.T, g *testGroup, s *server) {
		calls := startAll(t, g, "hot#1", "hot#2", "cold", "hot#3")
		for i := range 16 {
			calls = append(calls, start(t, g, fmt.Sprint("cold", i)))
		}
		require.Len(t, s.statements(), 2, "others pass by")
		require.False(t, touches(s.sent[1].items, "hot"))
		s.release(0, 1)
		require.Equal(t, "hot#2 hot#3", names(s.sent[2].items[:2]), "in order of arrival")
		s.release(2)
		requireApplied(t, calls...)
	})
}

func TestBoundsABatch(t *testing.T) {
	t.Parallel()
	for name, bound := range map[string]Size{"Count": {Count: 4}, "Bytes": {Bytes: 4}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inGroup(t, Config{Max: bound}, func(t *testing.T, g *testGroup, s *server) {
				calls := startAll(t, g, "a")
				for i, n := range []int{2, 2, 1, 9, 1} {
					calls = append(calls, startSized(t, g, fmt.Sprint("s", i), Size{Count: n, Bytes: n}))
				}
				s.releaseAll(0)
				require.Equal(t, []string{"a", "s0 s1", "s2", "s3", "s4"}, s.statements())
				requireApplied(t, calls...)
			})
		})
	}
}

func TestCallLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a", "b", "c", "d")
		c[1].leave(t, false)
		s.release(0)
		require.Equal(t, []string{"a", "c d"}, s.statements(), "who left before is not sent")
		c[2].leave(t, true)
		require.NoError(t, s.sent[1].ctx.Err(), "another still waits")
		s.release(1)
		requireApplied(t, c[0], c[3])
	})
}

func TestEndsABatchThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		c := startAll(t, g, "a", "b", "c")
		s.release(0)
		c[1].leave(t, true)
		require.NoError(t, s.sent[1].ctx.Err())
		c[2].leave(t, true)
		require.Error(t, s.sent[1].ctx.Err())
		next := start(t, g, "b")
		s.release(2)
		requireApplied(t, c[0], next)
	})
}

// Of a batch that was tried by halves, those who have their results wait no more: it ends with the last of the others.
func TestEndsWhatIsLeftOfABatchThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = suspects("bad")
		c := startAll(t, g, "first", "a", "bad")
		s.release(0, 1, 2)
		requireApplied(t, c[0], c[1])
		require.Equal(t, []string{"first", "a bad", "a", "bad"}, s.statements())
		c[2].leave(t, true)
		require.Error(t, s.sent[3].ctx.Err())
	})
}

// The others of a batch that is tried by halves are still waited for when one has left and been sent all the same.
func TestGoesOnForWhoIsLeftOfABatch(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = suspects("bad0", "bad1")
		c := startAll(t, g, "first", "a", "bad0", "b", "bad1")
		s.release(0)
		c[1].leave(t, true)
		s.releaseAll(1)
		require.Equal(t, 1, c[1].applied)
		require.ErrorIs(t, c[2].err, errSuspect)
		require.ErrorIs(t, c[4].err, errSuspect)
		requireApplied(t, c[0], c[3])
	})
}

var errSuspect = errors.New("refused")

// suspects refuses what has one of the keys.
func suspects(keys ...string) testAnswer {
	return func(items []*item, _ time.Duration) (Verdict, error) {
		if touches(items, keys...) {
			return Suspect, errSuspect
		}
		return Settled, nil
	}
}

func TestRefusalHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		s.answer = suspects("bad0", "bad1")
		c := startAll(t, g, "first", "a", "b", "bad0", "c", "d", "e", "bad1", "f", "a+b")
		s.releaseAll(0)
		for _, c := range c {
			if c.name == "bad0" || c.name == "bad1" {
				require.ErrorIs(t, c.err, errSuspect)
				require.Zero(t, c.applied)
			} else {
				requireApplied(t, c)
			}
		}
	})
}

func TestFailureIsEverybodys(t *testing.T) {
	t.Parallel()
	inGroup(t, Config{}, func(t *testing.T, g *testGroup, s *server) {
		lost := errors.New("lost")
		c := startAll(t, g, "first", "a", "b")
		s.release(0)
		s.answer = func([]*item, time.Duration) (Verdict, error) { return Failed, lost }
		s.release(1)
		require.Len(t, s.statements(), 2, "not sent again: it may have been applied")
		require.ErrorIs(t, c[1].err, lost)
		require.ErrorIs(t, c[2].err, lost)
	})
}
