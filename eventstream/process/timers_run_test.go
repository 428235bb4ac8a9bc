package process

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/db"
)

// sizes are those of the batches that a page is divided into.
func sizes(batches [][]TimerRef) (sizes []int) {
	for _, refs := range batches {
		sizes = append(sizes, len(refs))
	}
	return sizes
}

func pageOf(n int) (page []db.TimerDueRow) {
	for i := range n {
		page = append(page, db.TimerDueRow{Key: strconv.Itoa(i), Name: "remind"})
	}
	return page
}

func aRun(workers, size int, pace time.Duration) *timersRun {
	t := &Timers{config: TimersConfig{Workers: workers, BatchSize: size}}
	t.pace.Store(int64(pace))
	return t.newRun()
}

// A page is divided among the workers, within the size of a batch and the time that the handler takes.
func TestBatchesAreDividedAmongWorkers(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{5, 5, 5, 5}, sizes(aRun(4, 20, time.Microsecond).batches(pageOf(20))))
	require.Equal(t, []int{1, 1, 1}, sizes(aRun(4, 20, time.Microsecond).batches(pageOf(3))))
	require.Equal(t, []int{20, 20, 20, 20, 20}, sizes(aRun(2, 20, time.Microsecond).batches(pageOf(100))))
	require.Equal(t, []int{2, 2, 1}, sizes(aRun(1, 20, batchTime/2).batches(pageOf(5))))
	require.Equal(t, []int{1, 1, 1}, sizes(aRun(1, 20, 2*batchTime).batches(pageOf(3))))
	require.Empty(t, aRun(1, 20, 0).batches(nil))
}

// What has failed before, and a second timer of a key, is by itself; what a worker is at is left out.
func TestBatchesLeaveApartWhatMustNotShareATransaction(t *testing.T) {
	t.Parallel()
	r := aRun(1, 20, time.Microsecond)
	page := pageOf(6)
	page[2].Failed = true
	page[4] = db.TimerDueRow{Key: page[3].Key, Name: "another"}
	r.inHand[TimerRef{Key: page[5].Key, Name: "remind"}] = true
	ref := func(i int) TimerRef { return TimerRef{Key: page[i].Key, Name: page[i].Name} }
	require.Equal(t, [][]TimerRef{{ref(2)}, {ref(4)}, {ref(0), ref(1), ref(3)}}, r.batches(page))
	require.Empty(t, r.batches(page), "all of it is in hand")
	r.letGo([]TimerRef{ref(0), ref(2)})
	require.Equal(t, [][]TimerRef{{ref(2)}, {ref(0)}}, r.batches(page))
}

// The timer that a handler is at is left out for as long as that takes, though the rest of its batch was let go.
func TestBatchesLeaveOutWhatAHandlerIsAt(t *testing.T) {
	t.Parallel()
	r := aRun(1, 20, time.Microsecond)
	page := pageOf(3)
	refs := r.batches(page)[0]
	batch := r.begin(refs)
	require.True(t, batch.reach(refs[0]))
	r.letGo(refs)
	require.True(t, batch.reach(refs[1]))
	require.Equal(t, [][]TimerRef{{refs[0], refs[2]}}, r.batches(page))
	r.letGo([]TimerRef{refs[0], refs[2]})
	r.end(batch)
	require.Equal(t, [][]TimerRef{refs}, r.batches(page))
}

// A batch that was made before another worker's handler got to one of its timers stops there, and may have it once that handler has returned.
func TestBatchesStopWhereAHandlerIsAt(t *testing.T) {
	t.Parallel()
	r := aRun(2, 20, time.Microsecond)
	refs := r.batches(pageOf(3))[0]
	one, other := r.begin(refs), r.begin(refs)
	require.True(t, one.reach(refs[1]))
	require.True(t, one.reach(refs[1]), "its own is in nobody's way, as when it is tried by itself")
	require.True(t, other.reach(refs[0]))
	require.False(t, other.reach(refs[1]))
	require.True(t, one.reach(refs[0]), "the other has left it")
	r.end(one)
	require.True(t, other.reach(refs[0]))
}
