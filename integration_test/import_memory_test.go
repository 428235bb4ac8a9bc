package integration_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// liveHeap is what is in use after a collection, in bytes: unlike the heap's size, it does not depend on when the collector ran.
func liveHeap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Memory does not grow with the source. Not parallel: other tests use memory too.
func TestImportNeedsMemoryForAChunkAlone(t *testing.T) {
	oneGoroutine(t)
	b := setup(t)
	var highest int64
	h := history{events: 200_000, perStream: 10}
	h.before = func(n int) error {
		if n%4999 == 0 {
			highest = max(highest, liveHeap())
		}
		return nil
	}
	least := liveHeap()
	result, err := b.repo.Import(b.ctx, h.all())
	require.NoError(t, err)
	require.Equal(t, int64(h.events), result.Imported)
	t.Logf("%.1f MiB above the start at most", float64(highest-least)/(1<<20))
	require.Less(t, highest-least, int64(16<<20), "200,000 events take more than 40 MiB, the 10,000 of a chunk 3")
	requireAuditClean(t, b)
}

// Large events fill a chunk before ten thousand of them do: the content held is bounded too.
func TestImportCommitsBeforeContentFillsTheMemory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<15) // 512 KiB
	perChunk := eventstream.MaxImportBytes/len(data) + 1    // With its payload and metadata, one less would do: at least not more.
	most := int64(0)
	result, err := b.repo.Import(b.ctx, func(yield func(eventstream.Event, error) bool) {
		for n := range 3 * perChunk {
			most = max(most, int64(n)-eventsIn(t, b))
			if !yield(of("large-1", anEvent(t, n, eventstream.WithData(data)))[0], nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, int64(3*perChunk), result.Imported)
	require.LessOrEqual(t, most, int64(perChunk))
	require.Positive(t, most)
	requireAuditClean(t, b)
}
