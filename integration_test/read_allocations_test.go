package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Reading an event takes two allocations: what it says, and the name of its stream, which events of one stream share. Alone, since the
// count is that of the whole process.
func TestReadsAllocateLittle(t *testing.T) { //nolint:paralleltest // see above
	b := setup(t)
	const events = 2000
	given(t, b, "order-1", events)
	load := testing.AllocsPerRun(5, func() {
		stream, err := b.repo.Load(b.ctx, "order-1")
		require.NoError(t, err)
		require.Equal(t, events, stream.EventCount())
	})
	log := testing.AllocsPerRun(5, func() {
		n := 0
		for _, err := range b.repo.ReadLog(b.ctx, eventstream.LogOptions{}) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, events, n)
	})
	t.Logf("allocations an event: %.2f by Load, %.2f by ReadLog", load/events, log/events)
	require.Less(t, load/events, 1.5)
	require.Less(t, log/events, 2.5)
}
