package throughput

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func TestSourceInterleavesStreams(t *testing.T) {
	t.Parallel()
	versions := map[eventstream.StreamID]int64{}
	unfinished, most, n := 0, 0, 0
	for e, err := range source(2500) {
		require.NoError(t, err)
		require.NoError(t, e.Validate())
		versions[e.StreamID]++
		require.Equal(t, versions[e.StreamID], e.Version)
		switch e.Version {
		case 1:
			unfinished++
		case importedStream:
			unfinished--
		}
		most, n = max(most, unfinished), n+1
	}
	require.Equal(t, 2500, n)
	require.Len(t, versions, 250)
	require.Zero(t, unfinished)
	require.Equal(t, importedTogether, most)
}
