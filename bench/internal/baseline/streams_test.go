package baseline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestPayloadIsThatOfASmallEvent(t *testing.T) {
	t.Parallel()
	require.Len(t, Payload, 200)
	require.Len(t, string(SeededStream(1, 0).ID), 42)
	require.Len(t, string(NewStream().ID), 42)
}

func TestStreamsAreUsedInTurnAndBelongToOneCaller(t *testing.T) {
	t.Parallel()
	seen := map[eventstream.StreamID]int{}
	for caller := range 3 {
		own := SeededStreams(caller, 5, 1)
		for _, s := range append(own.Several(7), own.Several(3)...) {
			seen[s.ID]++
		}
	}
	require.Len(t, seen, 15)
	for _, times := range seen {
		require.Equal(t, 2, times)
	}
	require.NotContains(t, seen, NewStream().ID)
}

func TestRowsAreTheNextEventsOfAStream(t *testing.T) {
	t.Parallel()
	var r Rows
	first, second := SeededStream(1, 4), NewStream()
	require.NoError(t, r.Add(first, 2))
	require.NoError(t, r.Add(second, 1))
	require.Equal(t, []int64{5, 6, 1}, r.versions)
	require.Equal(t, []string{string(first.ID), string(first.ID), string(second.ID)}, r.streamIDs)
	require.EqualValues(t, 6, first.Version)
	require.NotEqual(t, r.ids[0], r.ids[1])
}
