package decider_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

func TestHandleAppendsAtTheVersionThatWasLoaded(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("c-1", anAdded(t, 3), anAdded(t, 4))
	r, err := counter().Handle(t.Context(), m, "c-1", -5)
	require.NoError(t, err)
	require.Equal(t, 2, r.State)
	require.Equal(t, 1, r.Tries)
	require.False(t, r.Duplicate)
	require.Len(t, r.Events, 2)
	require.Equal(t, []int64{3, 4}, []int64{r.Events[0].Version, r.Events[1].Version})
	require.Equal(t, eventstream.StreamID("c-1"), r.Events[1].StreamID)
	require.Equal(t, "exact(2)", m.asked[0].Expected.String())
	require.Positive(t, m.asked[0].Newer)
}

func TestHandleBeginsWithInitial(t *testing.T) {
	t.Parallel()
	d := counter()
	d.Initial = func() int { return 99 }
	_, err := d.Handle(t.Context(), &memory{}, "c-1", 2)
	require.ErrorAs(t, err, new(*errTooMuch))
	r, err := d.Handle(t.Context(), &memory{}, "c-1", 1)
	require.NoError(t, err)
	require.Equal(t, 100, r.State)
}

// The error of Decide is the caller's own: the same value, whatever it looks like.
func TestHandleGivesBackTheErrorOfDecide(t *testing.T) {
	t.Parallel()
	for _, own := range []error{
		&errTooMuch{7}, eventstream.ErrVersionConflict, &eventstream.VersionConflictError{StreamID: "c-1", Actual: 5},
		&pgconn.PgError{Code: "40001"}, context.Canceled,
	} {
		m, calls := &memory{}, 0
		d := counter()
		d.Decide = func(int, int) ([]eventstream.Event, error) {
			calls++
			return nil, own
		}
		r, err := d.Handle(t.Context(), m, "c-1", 1)
		require.Same(t, own, err)
		require.Equal(t, 1, calls)
		require.Zero(t, m.appends)
		require.Empty(t, r.Events)
	}
}

func TestHandleAppendsNothingForNoEvent(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("c-1", anAdded(t, 3))
	r, err := counter().Handle(t.Context(), m, "c-1", 0)
	require.NoError(t, err)
	require.Zero(t, m.appends)
	require.Equal(t, decider.Result[int]{State: 3, Tries: 1}, r)
}

// Another writer is faster, three times. What the refusal brings is folded; what it has no room for is read, and nothing twice.
func TestHandleDecidesAgainAfterAConflict(t *testing.T) {
	t.Parallel()
	for bring, reads := range map[int]int{100: 1, 1: 4, 0: 4} {
		m := &memory{bring: bring}
		m.put("c-1", anAdded(t, 1))
		m.before = func(n int) {
			if n <= 3 {
				m.put("c-1", anAdded(t, 10), anAdded(t, 20))
			}
		}
		r, err := counter().Handle(t.Context(), m, "c-1", 5, decider.WithBackoff(0, 0))
		require.NoError(t, err)
		require.Equal(t, 4, r.Tries)
		require.Equal(t, 96, r.State)
		require.Equal(t, int64(8), r.Events[0].Version)
		require.Equal(t, reads, m.reads, "with %d in a refusal", bring)
	}
	m := &memory{bring: 9}
	m.before = func(int) { m.put("c-1", anAdded(t, 96)) }
	_, err := counter().Handle(t.Context(), m, "c-1", 5)
	var refused *errTooMuch
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 96, refused.sum, "decided in the state after the other's event")
}

func TestHandleGivesUpAfterSomeTries(t *testing.T) {
	t.Parallel()
	m := &memory{bring: 9}
	m.before = func(int) { m.put("c-1", anAdded(t, 0)) }
	r, err := counter().Handle(t.Context(), m, "c-1", 5, decider.WithTries(3), decider.WithBackoff(0, 0))
	var tries *decider.TriesError
	require.ErrorAs(t, err, &tries)
	require.Equal(t, 3, tries.Tries)
	require.Equal(t, 3, m.appends)
	require.Equal(t, 3, r.Tries)
	require.ErrorIs(t, err, eventstream.ErrVersionConflict)
	require.ErrorContains(t, err, "3 tries")
	_, err = counter().Handle(t.Context(), m, "c-1", 5, decider.WithBackoff(0, 0))
	require.ErrorAs(t, err, &tries)
	require.Equal(t, 20, tries.Tries)
}

func TestHandleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	m := &memory{bring: 9}
	m.before = func(n int) {
		m.put("c-1", anAdded(t, 0))
		if n == 2 {
			cancel()
		}
	}
	_, err := counter().Handle(ctx, m, "c-1", 5, decider.WithBackoff(time.Minute, time.Minute))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, m.appends)
}

// A refusal after which the stream is where it was would come again and again.
func TestHandleGivesUpWhereNothingMoved(t *testing.T) {
	t.Parallel()
	for _, own := range []error{
		&eventstream.VersionConflictError{StreamID: "c-1", Expected: 1, Actual: 1},
		&eventstream.GapError{StreamID: "c-1", FirstMissing: 2, CurrentVersion: 5},
		eventstream.ErrReadOnly,
	} {
		m := &memory{fail: func(int) error {
			return &eventstream.BatchError{Requests: 1, Refused: []eventstream.RequestError{{StreamID: "c-1", Err: own}}}
		}}
		m.put("c-1", anAdded(t, 1))
		_, err := counter().Handle(t.Context(), m, "c-1", 5)
		require.Same(t, own, err, "and not as that of a batch")
		require.Equal(t, 1, m.appends)
	}
	// A conflict beside something worse is not worth another try.
	m := &memory{fail: func(int) error {
		return &eventstream.BatchError{Requests: 2, Refused: []eventstream.RequestError{
			{Err: &eventstream.VersionConflictError{StreamID: "c-1", Actual: 1}}, {Err: &eventstream.GapError{StreamID: "c-2"}},
		}}
	}}
	_, err := counter().Handle(t.Context(), m, "c-1", 5)
	require.ErrorIs(t, err, eventstream.ErrGap)
	require.Equal(t, 1, m.appends)
}

// What the database took back for the sake of another writer is tried again; of a connection that broke, nobody knows.
func TestHandleTriesAgainWhatWasUndone(t *testing.T) {
	t.Parallel()
	for code, appends := range map[string]int{"40001": 2, "40P01": 2, "57P01": 1, "08006": 1} {
		m := &memory{fail: func(n int) error {
			if n == 1 {
				return &pgconn.PgError{Code: code}
			}
			return nil
		}}
		_, err := counter().Handle(t.Context(), m, "c-1", 5)
		require.Equal(t, appends, m.appends, code)
		require.Equal(t, appends == 2, err == nil, code)
	}
}

func TestHandleSaysWhichEventCannotBeEvolved(t *testing.T) {
	t.Parallel()
	own := errors.New("unknown type")
	d := counter()
	d.Evolve = func(sum int, e eventstream.Event) (int, error) { return sum, own }
	m := &memory{}
	_, err := d.Handle(t.Context(), m, "c-1", 5)
	var evolve *decider.EvolveError
	require.ErrorAs(t, err, &evolve)
	require.True(t, evolve.Appended)
	require.ErrorIs(t, err, own)
	require.ErrorContains(t, err, "just appended")

	_, err = d.Handle(t.Context(), m, "c-1", 5)
	require.ErrorAs(t, err, &evolve)
	require.False(t, evolve.Appended)
	require.Equal(t, int64(1), evolve.Event.Version)
	require.Equal(t, 1, m.appends)
}

func TestHandleRefusesAStreamWithAHole(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("c-1", anAdded(t, 1), anAdded(t, 1), anAdded(t, 1))
	m.streams["c-1"] = append(m.streams["c-1"][:1], m.streams["c-1"][2])
	_, err := counter().Handle(t.Context(), m, "c-1", 5)
	require.ErrorIs(t, err, eventstream.ErrReconstruct)
	require.ErrorContains(t, err, "version 3 follows 1")
}

func TestHandleRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	var none *eventstream.Repository
	for name, call := range map[string]func() (decider.Result[int], error){
		"Decide": func() (decider.Result[int], error) {
			return decider.Decider[int, int]{Evolve: counter().Evolve}.Handle(t.Context(), &memory{}, "c-1", 1)
		},
		"Evolve": func() (decider.Result[int], error) {
			return decider.Decider[int, int]{Decide: counter().Decide}.Handle(t.Context(), &memory{}, "c-1", 1)
		},
		"store":       func() (decider.Result[int], error) { return counter().Handle(t.Context(), nil, "c-1", 1) },
		"a nil store": func() (decider.Result[int], error) { return counter().Handle(t.Context(), none, "c-1", 1) },
		"stream_id":   func() (decider.Result[int], error) { return counter().Handle(t.Context(), &memory{}, "", 1) },
		"streams":     func() (decider.Result[int], error) { return counter().HandleAcross(t.Context(), &memory{}, nil, 1) },
		"twice": func() (decider.Result[int], error) {
			return counter().HandleAcross(t.Context(), &memory{}, []eventstream.StreamID{"c-1", "c-1"}, 1)
		},
		"not said which": func() (decider.Result[int], error) {
			return counter().HandleAcross(t.Context(), &memory{}, []eventstream.StreamID{"c-1", "c-2"}, 1)
		},
		"option 1": func() (decider.Result[int], error) { return counter().Handle(t.Context(), &memory{}, "c-1", 1, nil) },
		"WithTries": func() (decider.Result[int], error) {
			return counter().Handle(t.Context(), &memory{}, "c-1", 1, decider.WithTries(0))
		},
		"WithBackoff": func() (decider.Result[int], error) {
			return counter().Handle(t.Context(), &memory{}, "c-1", 1, decider.WithBackoff(2, 1))
		},
		"WithCommandID": func() (decider.Result[int], error) {
			return counter().Handle(t.Context(), &memory{}, "c-1", 1, decider.WithCommandID(uuid.Nil))
		},
	} {
		_, err := call()
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
	}
}
