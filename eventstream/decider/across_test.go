package decider_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// move takes n from one counter to another.
type move struct {
	from, to eventstream.StreamID
	n        int
}

var errTooFew = errors.New("too few")

func moves() decider.Decider[move, decider.Streams[int]] {
	return decider.Together(counter(), func(m move, counters decider.Streams[int]) ([]eventstream.Event, error) {
		if counters.Of(m.from) < m.n {
			return nil, errTooFew
		}
		out, err := eventstream.NewEvent("counter.added", added{-m.n})
		if err != nil {
			return nil, err
		}
		in, err := eventstream.NewEvent("counter.added", added{m.n})
		return append(decider.On(m.from, out), decider.On(m.to, in)...), err
	})
}

// One decision over two streams is one append; a conflict in one of them is settled there, and the other is not read again.
func TestHandleAcrossStreams(t *testing.T) {
	t.Parallel()
	m := &memory{bring: 9}
	m.put("a", anAdded(t, 10))
	m.put("b", anAdded(t, 1), anAdded(t, 1))
	m.before = func(n int) {
		if n == 1 {
			m.put("b", anAdded(t, 5))
		}
	}
	r, err := moves().HandleAcross(t.Context(), m, []eventstream.StreamID{"b", "a"}, move{"a", "b", 4})
	require.NoError(t, err)
	require.Equal(t, []int{6, 11}, []int{r.State.Of("a"), r.State.Of("b")})
	require.Equal(t, 2, r.Tries)
	require.Equal(t, 2, m.reads)
	require.Len(t, m.asked, 2)
	versions := map[eventstream.StreamID]int64{}
	for _, e := range r.Events {
		versions[e.StreamID] = e.Version
	}
	require.Equal(t, map[eventstream.StreamID]int64{"a": 2, "b": 4}, versions)

	_, err = moves().HandleAcross(t.Context(), m, []eventstream.StreamID{"a", "b"}, move{"a", "b", 7})
	require.Same(t, errTooFew, err)
	_, err = moves().HandleAcross(t.Context(), m, []eventstream.StreamID{"a", "b"}, move{"a", "c", 1})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "c")
}

// A command over two streams that is repeated finds its events in both.
func TestHandleAcrossRepeatedIsADuplicate(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("a", anAdded(t, 10))
	id := decider.WithCommandID(uuid.New())
	ids := []eventstream.StreamID{"a", "b"}
	first, err := moves().HandleAcross(t.Context(), m, ids, move{"a", "b", 8}, id)
	require.NoError(t, err)
	require.Len(t, first.Events, 2)
	again, err := moves().HandleAcross(t.Context(), m, ids, move{"a", "b", 8}, id)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, first.Events, again.Events)
	require.Equal(t, []int{2, 8}, []int{again.State.Of("a"), again.State.Of("b")})
}

// Another handling of the same command, whose process may be gone, appends after this one has read the first stream, and before the second; or
// before this one appends, of which the refusal says the one half.
func TestHandleAcrossBesideItselfFindsAllOfItsEvents(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"while it reads": false, "while it appends": true} {
		m, command, ids := &memory{bring: 9}, uuid.New(), []eventstream.StreamID{"a", "b"}
		m.put("a", anAdded(t, 10))
		other := func() {
			for i, id := range ids {
				e := anAdded(t, []int{-8, 8}[i])
				e.ID = decider.EventID(command, id, 0)
				m.put(id, e)
			}
		}
		if late {
			m.before = func(int) { other() }
			m.fail = func(int) error {
				return &eventstream.BatchError{Requests: 2, Refused: []eventstream.RequestError{
					{Err: &eventstream.VersionConflictError{StreamID: "b", Actual: 1, Newer: m.streams["b"]}},
				}}
			}
		} else {
			m.beforeRead = func(read int) {
				if read == 2 {
					other()
				}
			}
		}
		r, err := moves().HandleAcross(t.Context(), m, ids, move{"a", "b", 8}, decider.WithCommandID(command))
		require.NoError(t, err, name)
		require.True(t, r.Duplicate, name)
		require.Equal(t, []eventstream.Event{m.streams["a"][1], m.streams["b"][0]}, r.Events, name)
		require.Equal(t, []int{2, 8}, []int{r.State.Of("a"), r.State.Of("b")}, name)
	}
}

func TestTogetherBeginsEachStreamWithInitial(t *testing.T) {
	t.Parallel()
	one := counter()
	one.Initial = func() int { return 40 }
	var seen []int
	d := decider.Together(one, func(_ struct{}, s decider.Streams[int]) ([]eventstream.Event, error) {
		seen = []int{s.Of("a"), s.Of("b"), s.Of("c")}
		return nil, nil
	})
	m := &memory{}
	m.put("b", anAdded(t, 2))
	_, err := d.HandleAcross(t.Context(), m, []eventstream.StreamID{"a", "b", "c"}, struct{}{})
	require.NoError(t, err)
	require.Equal(t, []int{40, 42, 40}, seen)
	require.Equal(t, 0, decider.Streams[int]{}.Of("a"))
}

// A typed decider is the same, over values of the program's own.
func TestTypedDecider(t *testing.T) {
	t.Parallel()
	unknown := errors.New("unknown type")
	d := decider.Typed[int, int, added]{
		Initial: func() int { return 1 },
		Decide:  func(n, sum int) ([]added, error) { return []added{{n}, {n + sum}}, nil },
		Evolve:  func(sum int, a added) int { return sum + a.N },
		Encode:  func(a added) (eventstream.Event, error) { return eventstream.NewEvent("counter.added", a) },
		Decode: func(e eventstream.Event) (added, error) {
			if e.Type != "counter.added" {
				return added{}, unknown
			}
			return eventstream.DecodePayload[added](e)
		},
	}
	m := &memory{}
	r, err := d.Decider().Handle(t.Context(), m, "c-1", 5)
	require.NoError(t, err)
	require.Equal(t, 12, r.State)
	require.Len(t, m.streams["c-1"], 2)
	m.streams["c-1"][1].Type = "counter.other"
	_, err = d.Decider().Handle(t.Context(), m, "c-1", 5)
	require.ErrorIs(t, err, unknown)

	d.Encode = nil
	_, err = d.Decider().Handle(t.Context(), m, "c-1", 5)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
}

// A stream that the caller forgot to name was not read: whoever looks at its state is told, and nothing is appended. Outside of a decision,
// everybody may look.
func TestHandleAcrossLooksAtItsStreamsAlone(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("a", anAdded(t, 10))
	m.put("member", anAdded(t, 3))
	d := decider.Together(counter(), func(_ struct{}, counters decider.Streams[int]) ([]eventstream.Event, error) {
		if counters.Of("member") >= 3 {
			return nil, errTooFew
		}
		e, err := eventstream.NewEvent("counter.added", added{1})
		return decider.On("a", e), err
	})
	_, err := d.HandleAcross(t.Context(), m, []eventstream.StreamID{"a"}, struct{}{})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "member")
	require.Len(t, m.streams["a"], 1)
	_, err = d.HandleAcross(t.Context(), m, []eventstream.StreamID{"a", "member"}, struct{}{})
	require.ErrorIs(t, err, errTooFew)
	r, err := d.HandleAcross(t.Context(), m, []eventstream.StreamID{"a", "new"}, struct{}{})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Equal(t, 0, r.State.Of("member"), "not read")
	require.Equal(t, 10, r.State.Of("a"))
}
