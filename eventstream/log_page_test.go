package eventstream

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// readPages is a reader of a log whose events all have so many bytes and stand so many positions apart: how many events each of its
// pages asked for, and how many positions it went through.
func readPages(most int, events, distance int64, bytes int) (sizes []int, windows []int64) {
	s := pageSize{most: most}
	for at, end := int64(0), events*distance; at < end; {
		size := s.next(1 << 30)
		window := min(s.window, end-at)
		sizes, windows = append(sizes, size), append(windows, window)
		count := int(min((at+window)/distance-at/distance, int64(size)))
		full := count == size
		if full {
			window = (at/distance+int64(count))*distance - at
		}
		s.adapt(count, full, !full && at+window < end, count*bytes)
		at += window
	}
	return sizes, windows
}

func TestPagesGrowWhileTheyAreFullAndLight(t *testing.T) {
	t.Parallel()
	sizes, _ := readPages(500, 3000, 1, 100)
	require.Equal(t, []int{64, 128, 256, 500, 500, 500, 500, 500, 500}, sizes)
	sizes, _ = readPages(3, 10, 1, 100)
	require.Equal(t, []int{3, 3, 3, 3}, sizes)
}

func TestPagesOfHeavyEventsAreSmall(t *testing.T) {
	t.Parallel()
	sizes, _ := readPages(4000, 1000, 1, 1<<20)
	require.Equal(t, []int{64, 4, 4}, sizes[:3], "4 MiB at once, but for the first page")
	sizes, _ = readPages(4000, 100, 1, 64<<20)
	require.Equal(t, []int{64, 1, 1}, sizes[:3])
	// 40 kB each: 64 are 2.5 MiB, and twice as many would be too much.
	sizes, _ = readPages(4000, 1000, 1, 40_000)
	require.Equal(t, 64, sizes[len(sizes)-1])
}

// What is rare is looked for in windows that grow, up to a million positions; once pages are full, they shrink again.
func TestWindowsGrowWhileTheyAreEmpty(t *testing.T) {
	t.Parallel()
	_, windows := readPages(500, 3, 2_000_000, 100)
	require.Equal(t, []int64{4096, 4 * 4096, 16 * 4096, 64 * 4096, 256 * 4096, 1 << 20}, windows[:6])
	for _, w := range windows {
		require.LessOrEqual(t, w, int64(1<<20))
	}
	// One in a hundred: a window has a few hundred events, and a page is asked for as many.
	_, windows = readPages(500, 100_000, 100, 100)
	for _, w := range windows {
		require.LessOrEqual(t, w, int64(4*500*100))
	}
	// None is left out: a window is at least twice the page.
	_, windows = readPages(100_000, 1_000_000, 1, 1)
	require.Equal(t, int64(200_000), slices.Max(windows))
}

// Whatever pages were like, the next one is in bounds.
func TestPagesStayInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := pageSize{most: rapid.IntRange(1, 800_000).Draw(t, "most")}
		for range 50 {
			size := s.next(rapid.IntRange(1, 1000).Draw(t, "limit"))
			require.GreaterOrEqual(t, size, 1)
			require.LessOrEqual(t, size, s.most)
			require.GreaterOrEqual(t, s.window, int64(firstWindow))
			require.LessOrEqual(t, s.window, max(int64(widestWindow), 2*int64(s.most)))
			count := rapid.IntRange(0, size).Draw(t, "count")
			full := count == size
			s.adapt(count, full, !full && rapid.Bool().Draw(t, "windowed"), count*rapid.IntRange(0, 10<<20).Draw(t, "bytes"))
		}
	})
}

// Partitions that start further on: reading begins before the first event that any of those wanted starts with.
func TestPagesSkipToTheFirstPartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		partitions []int
		apart      map[int]int64
		want       int64
	}{
		{nil, nil, 0},
		{nil, map[int]int64{0: 50, 1: 60}, 0},
		{nil, map[int]int64{0: 50, 1: 60, 2: 40}, 40},
		{[]int{0, 1}, map[int]int64{0: 50, 1: 60}, 50},
		{[]int{1}, map[int]int64{0: 50, 1: 60}, 60},
		{[]int{1, 2}, map[int]int64{0: 50, 1: 60}, 0},
		{[]int{1}, map[int]int64{1: 1000}, 100},
	} {
		p := newLogPages(LogFilter{Partitions: c.partitions}, false, 0, 100, 10)
		p.apart = c.apart
		p.skipTo(3)
		require.Equal(t, c.want, p.after, "%+v", c)
	}
}
