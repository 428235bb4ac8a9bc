package readahead

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

// counted gives the numbers up to last, so many a page, each of which takes a kilobyte. It fails once where a page begins with fails.
type counted struct {
	next, last, size, fails int
	grown                   bool
	// started is told of each page, filled when it is read, and ended of each whose context ended before it was allowed to be read.
	started, allowed, filled, ended chan int
}

// steps are pages of seven that wait until each is allowed.
func steps() *counted {
	step := func() chan int { return make(chan int, 1) }
	return &counted{next: 1, last: 100, size: 7, grown: true, started: step(), allowed: step(), filled: step(), ended: step()}
}

var errFails = errors.New("the page cannot be read")

func (c *counted) AtEnd() bool { return c.next > c.last }

func (c *counted) Grown() bool { return c.grown }

func (c *counted) Next(ctx context.Context, limit int, _ int64, buffer []int) ([]int, int64, error) {
	if c.started != nil {
		c.started <- c.next
		select {
		case <-c.allowed:
		case <-ctx.Done():
			c.ended <- c.next
			return nil, 0, ctx.Err()
		}
	}
	if c.next == c.fails {
		c.fails = 0
		return nil, 0, errFails
	}
	page := buffer[:0]
	for range min(limit, c.size, c.last-c.next+1) {
		page = append(page, c.next)
		c.next++
	}
	if c.filled != nil {
		c.filled <- c.next
	}
	return page, int64(len(page)) << 10, nil
}

// all reads to the end, ahead or not, and over errors.
func all(t *testing.T, r *Reader[int], limit int, ahead bool) (got []int, failed int) {
	t.Helper()
	for left := limit; left > 0 && !r.AtEnd(); {
		page, err := r.Next(t.Context(), left)
		if err != nil {
			require.ErrorIs(t, err, errFails)
			failed++
			continue
		}
		left -= len(page)
		if ahead {
			r.Start(t.Context(), left)
		}
		got = append(got, page...)
	}
	return got, failed
}

// Nothing is read twice or left out, whether it is read ahead or not, and after a page that could not be read.
func TestReadAheadGivesEverythingOnceAndInOrder(t *testing.T) {
	t.Parallel()
	want := make([]int, 100)
	for i := range want {
		want[i] = i + 1
	}
	for _, ahead := range []bool{false, true} {
		for _, limit := range []int{1, 6, 7, 8, 99, 100, 1000} {
			for _, fails := range []int{0, 1, 8, 15} {
				// A share of it has room for two pages, if those that were gone through are given back.
				budget := readbudget.New(128 << 10)
				r := New(&counted{next: 1, last: 100, size: 7, grown: true, fails: fails}, budget.Share())
				got, failed := all(t, r, limit, ahead)
				require.Equal(t, want[:min(limit, 100)], got, "ahead %v, limit %d, fails at %d", ahead, limit, fails)
				require.LessOrEqual(t, failed, 1)
				r.Close()
			}
		}
	}
}

// The next page is read while the last one is gone through; that is not written over.
func TestReadAheadReadsWhileThePageIsInUse(t *testing.T) {
	t.Parallel()
	pages := steps()
	r := New(pages, readbudget.New(64<<20).Share())
	pages.allowed <- 0
	first, err := r.Next(t.Context(), 100)
	require.NoError(t, err)
	require.Equal(t, []int{1, 8}, []int{<-pages.started, <-pages.filled})
	r.Start(t.Context(), 93)
	require.Equal(t, 8, <-pages.started, "without anybody asking for it")
	pages.allowed <- 0
	require.Equal(t, 15, <-pages.filled)
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, first)
	second, err := r.Next(t.Context(), 93)
	require.NoError(t, err)
	require.Equal(t, []int{8, 9, 10, 11, 12, 13, 14}, second)
	r.Close()
}

// Close cancels what is read ahead and waits for its end, and the budget has everything back.
func TestReadAheadIsCanceledByClose(t *testing.T) {
	t.Parallel()
	budget := readbudget.New(64 << 20)
	for range 8 { // more than share the budget fully
		pages := steps()
		r := New(pages, budget.Share())
		pages.allowed <- 0
		_, err := r.Next(t.Context(), 100)
		require.NoError(t, err)
		<-pages.started
		r.Start(t.Context(), 93)
		<-pages.started
		r.Close()
		require.Equal(t, 8, <-pages.ended)
	}
	// As much as if nobody had held anything.
	fresh, ok := readbudget.New(64 << 20).Share().TryReserve()
	require.True(t, ok)
	again, ok := budget.Share().TryReserve()
	require.True(t, ok)
	require.Equal(t, fresh, again)
}

// Pages that still grow, the last page, and a share that is full are no time to read ahead.
func TestReadAheadOnlyWhereItPays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pages  *counted
		left   int
		budget int64
	}{
		"pages still grow": {&counted{next: 1, last: 100, size: 7}, 93, 64 << 20},
		"all was read":     {&counted{next: 1, last: 7, size: 7, grown: true}, 93, 64 << 20},
		"no more is asked": {&counted{next: 1, last: 100, size: 7, grown: true}, 0, 64 << 20},
		"no room":          {&counted{next: 1, last: 100, size: 7, grown: true}, 93, 8 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := New(c.pages, readbudget.New(c.budget).Share())
			_, err := r.Next(t.Context(), 7)
			require.NoError(t, err)
			r.Start(t.Context(), c.left)
			require.Nil(t, r.ahead)
			r.Close()
		})
	}
}
