package paging

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

// readPages is a reader of a log whose events all have so many bytes and stand so many positions apart: how many events each of its
// pages asked for, how many it got, and how many positions it went through.
func readPages(most int, events, distance int64, bytes int) (sizes, counts []int, windows []int64) {
	s := NewSize(FirstPage, most)
	for at, last := int64(0), events*distance; at < last; {
		size := s.Next(1 << 30)
		window := min(s.window, last-at)
		sizes, windows = append(sizes, size), append(windows, window)
		count, end := int((at+window)/distance-at/distance), EndOfRange
		if count >= size {
			count, end = size, EndOfCount
		}
		switch fit := max(readbudget.PageBytes/bytes, 1); {
		case bytes >= 1024 && s.large == 0 && count > 0:
			count, end = 0, EndAtLarge
		case count > fit && s.large > 0:
			count, end = fit, EndAtLarge
		case count > fit:
			count, end = fit, EndOfBytes
		}
		covered := window
		if end != EndOfRange {
			covered = (at/distance+int64(count))*distance - at
		}
		s.Adapt(count, end, at+window < last, int64(count*bytes), readbudget.PageBytes)
		counts = append(counts, count)
		at += covered
	}
	return sizes, counts, windows
}

func TestPagesGrowWhileTheyAreFullAndLight(t *testing.T) {
	t.Parallel()
	sizes, _, _ := readPages(500, 3000, 1, 100)
	require.Equal(t, []int{64, 128, 256, 500, 500, 500, 500, 500, 500}, sizes)
	sizes, _, _ = readPages(3, 10, 1, 100)
	require.Equal(t, []int{3, 3, 3, 3}, sizes)
}

// The first page of large events gives none, and says that they are large; those after it are full, and of about what fits.
func TestPagesOfLargeEventsAreSmall(t *testing.T) {
	t.Parallel()
	sizes, counts, _ := readPages(4000, 1000, 1, 1<<20)
	require.Equal(t, []int{64, 64, 5, 5}, sizes[:4])
	require.Equal(t, []int{0, 4, 4, 4}, counts[:4], "4 MiB")
	_, counts, _ = readPages(4000, 100, 1, 64<<20)
	require.Equal(t, []int{0, 1, 1}, counts[:3])
	sizes, counts, _ = readPages(4000, 1000, 1, 40_000)
	require.Equal(t, []int{64, 64, 64, 64}, sizes[:4], "64 are 2.4 MiB, and twice as many would be too much")
	require.Equal(t, []int{0, 64, 64, 64}, counts[:4])
	// Each by itself is small, and a page of them is not.
	_, counts, _ = readPages(100_000, 100_000, 1, 1000)
	require.Equal(t, 4096, slices.Max(counts), "twice as many would be too much")
	small := NewSize(4000, 4000)
	small.Adapt(1234, EndOfBytes, true, 1<<20, 1<<20)
	require.Equal(t, 1234, small.size, "no more than fit: the server sends those that do not")
}

// After the last large event pages grow again, and soon are read as before.
func TestPagesGrowAfterLargeEvents(t *testing.T) {
	t.Parallel()
	s := NewSize(FirstPage, 4000)
	s.Adapt(s.Next(4000), EndOfCount, true, 1000, readbudget.PageBytes)
	s.Adapt(100, EndAtLarge, true, 1000, readbudget.PageBytes)
	s.Adapt(4, EndAtLarge, true, readbudget.PageBytes, readbudget.PageBytes)
	require.True(t, s.Grown(), "by bytes")
	for range largePages {
		require.Positive(t, s.large)
		size := s.Next(4000)
		s.Adapt(size, EndOfCount, true, int64(size), readbudget.PageBytes)
	}
	require.Zero(t, s.large)
	require.Equal(t, 4000, s.size)
}

// What is rare is looked for in windows that grow, up to a million positions; once pages are full, they shrink again.
func TestWindowsGrowWhileTheyAreEmpty(t *testing.T) {
	t.Parallel()
	_, _, windows := readPages(500, 3, 2_000_000, 100)
	require.Equal(t, []int64{4096, 4 * 4096, 16 * 4096, 64 * 4096, 256 * 4096, 1 << 20}, windows[:6])
	for _, w := range windows {
		require.LessOrEqual(t, w, int64(1<<20))
	}
	// One in a hundred: a window has a few hundred events, and a page is asked for as many.
	_, _, windows = readPages(500, 100_000, 100, 100)
	for _, w := range windows {
		require.LessOrEqual(t, w, int64(4*500*100))
	}
	// None is left out: a window is at least twice the page.
	_, _, windows = readPages(100_000, 1_000_000, 1, 1)
	require.Equal(t, int64(200_000), slices.Max(windows))
}

// Whatever pages were like, the next one is in bounds.
func TestPagesStayInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := NewSize(FirstPage, rapid.IntRange(1, 800_000).Draw(t, "most"))
		for range 50 {
			size := s.Next(rapid.IntRange(1, 1000).Draw(t, "limit"))
			require.GreaterOrEqual(t, size, 1)
			require.LessOrEqual(t, size, s.most)
			require.GreaterOrEqual(t, s.window, int64(firstWindow))
			require.LessOrEqual(t, s.window, max(int64(widestWindow), 2*int64(s.most)))
			count := rapid.IntRange(0, size).Draw(t, "count")
			end := EndOfCount
			if count < size {
				end = rapid.SampledFrom([]End{EndOfRange, EndOfBytes, EndAtLarge}).Draw(t, "end")
			}
			if end == EndOfBytes {
				count = max(count, 1) // the first event always is in the page
			}
			s.Adapt(count, end, rapid.Bool().Draw(t, "windowed"), int64(count*rapid.IntRange(0, 10<<20).Draw(t, "bytes")),
				rapid.Int64Range(1, readbudget.PageBytes).Draw(t, "limit"))
		}
	})
}
