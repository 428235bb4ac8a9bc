package decider_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// The ids never change: a command that is repeated after an upgrade must find its events.
func TestEventIDsOfACommand(t *testing.T) {
	t.Parallel()
	command := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	require.Equal(t, uuid.NewSHA1(command, []byte("0/order-1")), decider.EventID(command, "order-1", 0))
	require.Equal(t, "89aeb7f8-af89-5a0f-af5e-160e53f7d236", decider.EventID(command, "order-1", 0).String())
	seen := map[uuid.UUID]bool{}
	for _, stream := range []eventstream.StreamID{"order-1", "order-2", "1/order-1"} {
		for ordinal := range 3 {
			seen[decider.EventID(command, stream, ordinal)] = true
			seen[decider.EventID(uuid.New(), stream, ordinal)] = true
		}
	}
	require.Len(t, seen, 18)
}

// A command that is repeated gives its first result: before Decide is asked, which would now refuse it.
func TestHandleRepeatedCommandIsADuplicate(t *testing.T) {
	t.Parallel()
	m, d, calls := &memory{}, counter(), 0
	decide := d.Decide
	d.Decide = func(n, sum int) ([]eventstream.Event, error) {
		calls++
		return decide(n, sum)
	}
	id := decider.WithCommandID(uuid.New())
	first, err := d.Handle(t.Context(), m, "c-1", 60, id)
	require.NoError(t, err)
	require.False(t, first.Duplicate)
	_, err = d.Handle(t.Context(), m, "c-1", 30)
	require.NoError(t, err)
	_, err = d.Handle(t.Context(), m, "c-1", 60)
	require.ErrorAs(t, err, new(*errTooMuch), "another command of the same kind is refused by now")
	require.Equal(t, 3, calls)

	again, err := d.Handle(t.Context(), m, "c-1", 60, id)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, first.Events, again.Events)
	require.Equal(t, 90, again.State)
	require.Zero(t, again.Tries)
	require.Equal(t, 3, calls, "Decide was not asked")
	require.Len(t, m.streams["c-1"], 2)
}

// A repeated command that needs two events finds both, and only its own.
func TestHandleRepeatedCommandFindsAllOfItsEvents(t *testing.T) {
	t.Parallel()
	m := &memory{}
	m.put("c-1", anAdded(t, 9))
	id := decider.WithCommandID(uuid.New())
	first, err := counter().Handle(t.Context(), m, "c-1", -4, id)
	require.NoError(t, err)
	m.put("c-1", anAdded(t, 9))
	again, err := counter().Handle(t.Context(), m, "c-1", -4, id)
	require.NoError(t, err)
	require.Equal(t, first.Events, again.Events)
	require.Len(t, m.streams["c-1"], 4)
}

// Two handle one command at once. The other is faster with the same events, with others, and is seen in the refusal.
func TestHandleOneCommandTwiceAtOnce(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"the append is a duplicate": nil,
		"the ids are taken":         &eventstream.EventIDConflictError{StreamID: "c-1", Problem: "exists already, with other content"},
		"the version is taken":      &eventstream.VersionConflictError{StreamID: "c-1", Actual: 2},
	} {
		m, command := &memory{}, uuid.New()
		theirs := anAdded(t, 60)
		theirs.ID = decider.EventID(command, "c-1", 0)
		m.before = func(int) { m.put("c-1", anAdded(t, 1), theirs, anAdded(t, 2)) }
		m.fail = func(int) error {
			if refusal == nil {
				return nil
			}
			return &eventstream.BatchError{Requests: 1, Refused: []eventstream.RequestError{{StreamID: "c-1", Err: refusal}}}
		}
		r, err := counter().Handle(t.Context(), m, "c-1", 60, decider.WithCommandID(command), decider.WithTries(1))
		require.NoError(t, err, name)
		require.True(t, r.Duplicate, name)
		require.Equal(t, []eventstream.Event{m.streams["c-1"][1]}, r.Events, name)
		require.Equal(t, 63, r.State, name)
		require.Equal(t, 1, m.appends, name)
	}
	taken := &eventstream.EventIDConflictError{StreamID: "c-1", Problem: "exists already, in another stream"}
	m := &memory{fail: func(int) error { return taken }}
	_, err := counter().Handle(t.Context(), m, "c-1", 60, decider.WithCommandID(uuid.New()))
	require.Same(t, error(taken), err)
}

// The append is made and its answer lost: the same command again finds what it did.
func TestHandleAgainAfterALostAnswer(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	m := &memory{lose: func(n int) error {
		if n == 1 {
			return lost
		}
		return nil
	}}
	id := decider.WithCommandID(uuid.New())
	r, err := counter().Handle(t.Context(), m, "c-1", 60, id)
	require.Same(t, lost, err)
	require.Empty(t, r.Events)
	m.put("c-1", anAdded(t, 40))
	r, err = counter().Handle(t.Context(), m, "c-1", 60, id)
	require.NoError(t, err)
	require.True(t, r.Duplicate)
	require.Len(t, m.streams["c-1"], 2)
}

// Decide may give events ids of its own; what was appended under them before is there, and nothing is written.
func TestHandleWithIDsOfDecide(t *testing.T) {
	t.Parallel()
	event := anAdded(t, 7)
	d := counter()
	d.Decide = func(int, int) ([]eventstream.Event, error) { return []eventstream.Event{event}, nil }
	m := &memory{}
	first, err := d.Handle(t.Context(), m, "c-1", 1)
	require.NoError(t, err)
	again, err := d.Handle(t.Context(), m, "c-1", 1)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, 7, again.State)
	require.Equal(t, first.Events[0].Version, again.Events[0].Version)
	require.Len(t, m.streams["c-1"], 1)
}

// Encrypted fields are bound to the id that an event was made with: with another one, nobody could read them. One that was made with the id of
// the command is taken.
func TestHandleKeepsTheIDsOfEncryptedEvents(t *testing.T) {
	t.Parallel()
	m, d, command := &memory{}, counter(), uuid.New()
	decide := d.Decide
	ids := func(int) uuid.UUID { return uuid.New() }
	d.Decide = func(n, sum int) ([]eventstream.Event, error) {
		events, err := decide(n, sum)
		for i := range events {
			events[i].ID = ids(i)
			events[i].Metadata = []byte(`{"encrypted_fields": ["/name"]}`)
		}
		return events, err
	}
	_, err := d.Handle(t.Context(), m, "c-1", 1, decider.WithCommandID(command))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "DecideUnder")
	require.Empty(t, m.streams["c-1"])
	_, err = d.Handle(t.Context(), m, "c-1", 1)
	require.NoError(t, err)
	ids = func(n int) uuid.UUID { return decider.EventID(command, "c-1", n) }
	result, err := d.Handle(t.Context(), m, "c-1", 1, decider.WithCommandID(command))
	require.NoError(t, err)
	require.Equal(t, ids(0), result.Events[0].ID)
}
