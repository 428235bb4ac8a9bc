package eventstream

import (
	"context"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestBudgetCountsWhatAnEventTakes(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, int(unsafe.Sizeof(LogEvent{})), eventOverhead)
}

// A reader alone takes pages of 4 MiB, and a quarter of the budget at most; with more of them, each has a share, and all together the budget.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	b := &readBudget{most: 64 << 20}
	one := b.share()
	for range 4 {
		bytes, ok := one.tryReserve()
		require.True(t, ok)
		require.Equal(t, int64(pageBytes), bytes)
	}
	_, ok := one.tryReserve()
	require.False(t, ok, "a quarter is taken")
	one.close()

	shares := make([]*readShare, 32)
	for i := range shares {
		shares[i] = b.share()
		_, err := shares[i].reserve(context.Background())
		require.NoError(t, err)
	}
	for _, s := range shares {
		for _, ok := s.tryReserve(); ok; _, ok = s.tryReserve() {
		}
		require.Positive(t, s.held)
	}
	require.LessOrEqual(t, b.held, b.most)
	for _, s := range shares {
		s.close()
	}
	require.Zero(t, b.held)
	require.Zero(t, b.readers)
}

// Where nothing is free, who holds nothing may read an event, and who holds something waits for what it holds itself.
func TestBudgetThatIsUsedUp(t *testing.T) {
	t.Parallel()
	b := &readBudget{most: 1 << 20}
	hog, late := b.share(), b.share()
	reserved, ok := hog.tryReserve()
	require.True(t, ok)
	hog.keep(reserved, 100<<20) // one event
	reserved, ok = late.tryReserve()
	require.True(t, ok)
	require.Equal(t, int64(1), reserved)
	late.keep(reserved, 1000)

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := late.reserve(ended)
	require.ErrorIs(t, err, context.Canceled)
	waiting := make(chan int64)
	go func() {
		reserved, _ := late.reserve(context.Background())
		waiting <- reserved
	}()
	late.release(1000)
	require.Equal(t, int64(1), <-waiting)
	late.keep(1, 0)
	require.Equal(t, int64(100<<20), b.held)
	hog.release(200 << 20) // never more than it holds
	require.Zero(t, b.held)
}

// Whatever readers do, they hold no more than the budget together, and one event each where that is used up; nothing is ever lost, and whoever
// holds nothing may go on.
func TestBudgetHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const event = 64 << 10
		b := &readBudget{most: rapid.Int64Range(1<<20, 256<<20).Draw(t, "most")}
		shares := make([]*readShare, rapid.IntRange(1, 100).Draw(t, "readers"))
		pages := make([][]int64, len(shares))
		for i := range shares {
			shares[i] = b.share()
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			i := rapid.IntRange(0, len(shares)-1).Draw(t, "reader")
			if len(pages[i]) > 0 && rapid.Bool().Draw(t, "done") {
				shares[i].release(pages[i][0])
				pages[i] = pages[i][1:]
				continue
			}
			reserved, ok := shares[i].tryReserve()
			require.True(t, ok || len(pages[i]) > 0, "who holds nothing may go on")
			if !ok {
				continue
			}
			read := max(rapid.Int64Range(0, reserved).Draw(t, "read"), min(reserved, 1)*event)
			shares[i].keep(reserved, read)
			pages[i] = append(pages[i], read)
		}
		require.LessOrEqual(t, b.peak, b.most+int64(len(shares))*event)
		held, readers := int64(0), 0
		for i := range pages {
			for _, bytes := range pages[i] {
				held += bytes
			}
			if len(pages[i]) > 0 {
				readers++
			}
		}
		require.Equal(t, held, b.held)
		require.Equal(t, readers, b.readers)
	})
}

// A page ends before the event that is too much for it, but for the first one, and before one whose body the server left out.
func TestPagesAreCutByBytes(t *testing.T) {
	t.Parallel()
	row := func(payload, data, metadata []byte) [][]byte {
		row := make([][]byte, 12)
		row[payloadColumn], row[dataColumn], row[metadataColumn] = payload, data, metadata
		return row
	}
	kilo := make([]byte, 1024)
	c := pageCutter{limit: 4096}
	require.Equal(t, endOfRange, c.next(row(kilo, nil, kilo)))
	require.Equal(t, endOfRange, c.next(row(kilo, nil, nil)))
	require.Equal(t, endOfBytes, c.next(row(nullPayload(), kilo, nil)))
	require.Equal(t, endAtLarge, c.next(row(nil, nil, nil)))
	require.Equal(t, int64(3*1024+2*eventOverhead), c.bytes)
	c = pageCutter{limit: 1}
	require.Equal(t, endAtLarge, c.next(row(nil, nil, kilo)))
	require.Equal(t, endOfRange, c.next(row(kilo, kilo, kilo)), "the first one, whatever its size")
	require.Equal(t, endOfBytes, c.next(row(nullPayload(), nil, nil)))
}

// nullPayload is the payload of an event that has only data.
func nullPayload() []byte { return []byte("null") }
