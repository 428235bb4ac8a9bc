package readbudget

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A reader alone takes pages of 4 MiB, and a quarter of the budget at most; with more of them, each has a share, and all together the budget.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	b := New(64 << 20)
	one := b.Share()
	for range 4 {
		bytes, ok := one.TryReserve()
		require.True(t, ok)
		require.Equal(t, int64(PageBytes), bytes)
	}
	_, ok := one.TryReserve()
	require.False(t, ok, "a quarter is taken")
	one.Close()

	shares := make([]*Share, 32)
	for i := range shares {
		shares[i] = b.Share()
		_, err := shares[i].Reserve(context.Background())
		require.NoError(t, err)
	}
	for _, s := range shares {
		for _, ok := s.TryReserve(); ok; _, ok = s.TryReserve() {
		}
		require.Positive(t, s.held)
	}
	require.LessOrEqual(t, b.held, b.most)
	for _, s := range shares {
		s.Close()
	}
	require.Zero(t, b.held)
	require.Zero(t, b.readers)
}

// Where nothing is free, who holds nothing may read an event, and who holds something waits for what it holds itself.
func TestBudgetThatIsUsedUp(t *testing.T) {
	t.Parallel()
	b := New(1 << 20)
	hog, late := b.Share(), b.Share()
	reserved, ok := hog.TryReserve()
	require.True(t, ok)
	hog.Keep(reserved, 100<<20) // one event
	reserved, ok = late.TryReserve()
	require.True(t, ok)
	require.Equal(t, int64(1), reserved)
	late.Keep(reserved, 1000)

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := late.Reserve(ended)
	require.ErrorIs(t, err, context.Canceled)
	waiting := make(chan int64)
	go func() {
		reserved, _ := late.Reserve(context.Background())
		waiting <- reserved
	}()
	late.Release(1000)
	require.Equal(t, int64(1), <-waiting)
	late.Keep(1, 0)
	require.Equal(t, int64(100<<20), b.held)
	hog.Release(200 << 20) // never more than it holds
	require.Zero(t, b.held)
}

// Whatever readers do, they hold no more than the budget together, and one event each where that is used up; nothing is ever lost, and whoever
// holds nothing may go on.
func TestBudgetHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const event = 64 << 10
		b := New(rapid.Int64Range(1<<20, 256<<20).Draw(t, "most"))
		shares := make([]*Share, rapid.IntRange(1, 100).Draw(t, "readers"))
		pages := make([][]int64, len(shares))
		for i := range shares {
			shares[i] = b.Share()
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			i := rapid.IntRange(0, len(shares)-1).Draw(t, "reader")
			if len(pages[i]) > 0 && rapid.Bool().Draw(t, "done") {
				shares[i].Release(pages[i][0])
				pages[i] = pages[i][1:]
				continue
			}
			reserved, ok := shares[i].TryReserve()
			require.True(t, ok || len(pages[i]) > 0, "who holds nothing may go on")
			if !ok {
				continue
			}
			read := max(rapid.Int64Range(0, reserved).Draw(t, "read"), min(reserved, 1)*event)
			shares[i].Keep(reserved, read)
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
