package decider_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/decider"
)

// fixed are snapshots of counters that give what a test says.
type fixed struct {
	state    int
	stream   *eventstream.EventStream
	err      error
	asked    []uuid.UUID
	appended []int64
}

func (f *fixed) Resume(_ context.Context, _ eventstream.StreamID, event uuid.UUID) (int, *eventstream.EventStream, error) {
	f.asked = append(f.asked, event)
	return f.state, f.stream, f.err
}

func (f *fixed) Appended(_ *eventstream.EventStream, version int64) {
	f.appended = append(f.appended, version)
}

// The state comes from the snapshots, the stream is not read, and they are told what was appended; of a refusal they are told nothing.
func TestHandleBeginsWithASnapshot(t *testing.T) {
	t.Parallel()
	m, command := &memory{}, uuid.New()
	snapshots := &fixed{state: 30, stream: eventstream.New("c-1")}
	on := decider.WithSnapshots[int](snapshots)
	r, err := counter().Handle(t.Context(), m, "c-1", 60, on, decider.WithCommandID(command))
	require.NoError(t, err)
	require.Equal(t, 90, r.State)
	require.Zero(t, m.reads)
	require.Equal(t, []uuid.UUID{decider.EventID(command, "c-1", 0)}, snapshots.asked)
	require.Equal(t, []int64{1}, snapshots.appended)

	snapshots.state = 90
	_, err = counter().Handle(t.Context(), &memory{}, "c-1", 60, on)
	require.ErrorAs(t, err, new(*errTooMuch))
	require.Equal(t, uuid.Nil, snapshots.asked[1])
	require.Len(t, snapshots.appended, 1)

	snapshots.err = errors.New("no snapshots today")
	_, err = counter().Handle(t.Context(), &memory{}, "c-1", 1, on)
	require.Same(t, snapshots.err, err)
}

func TestWithSnapshotsRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	ids := []eventstream.StreamID{"a", "b"}
	_, err := moves().HandleAcross(t.Context(), &memory{}, ids, move{"a", "b", 1}, decider.WithSnapshots[int](&fixed{}))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "of another state")
	_, err = counter().HandleAcross(t.Context(), &memory{}, ids, 1, decider.WithSnapshots[int](&fixed{}))
	require.ErrorContains(t, err, "2 streams")
	var none *fixed
	for _, option := range []decider.Option{decider.WithSnapshots[int](none), decider.WithSnapshots[int](nil)} {
		_, err = counter().Handle(t.Context(), &memory{}, "a", 1, option)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	}
}
