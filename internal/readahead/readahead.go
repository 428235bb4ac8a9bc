// Package readahead reads the next page of something while the last one is gone through, within a share of a budget of bytes.
package readahead

import (
	"context"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

// Pages gives something page by page.
type Pages[E any] interface {
	// AtEnd says that there is no further page.
	AtEnd() bool
	// Grown says that pages are as large as they get.
	Grown() bool
	// Next reads the next page, of so many elements and bytes at most, into a buffer if that is large enough, and says how many bytes it has.
	Next(ctx context.Context, limit int, bytes int64, buffer []E) (page []E, held int64, err error)
}

// Reader goes through pages. It uses the memory of two of them in turn. It is not safe for use by several goroutines.
type Reader[E any] struct {
	pages Pages[E]
	// share counts the bytes of both pages, and held is those of the one that is gone through.
	share *readbudget.Share
	held  int64
	// buffers are the page that is gone through, and room for the next one.
	buffers [2][]E
	// ahead is what is read ahead, and cancel ends that; nil if nothing is.
	ahead  chan read[E]
	cancel context.CancelFunc
}

type read[E any] struct {
	page []E
	held int64
	err  error
}

// New reads pages within a share, which holds nothing yet, and which is closed with the reader.
func New[E any](pages Pages[E], share *readbudget.Share) *Reader[E] {
	return &Reader[E]{pages: pages, share: share}
}

// AtEnd says that there is no further page.
func (r *Reader[E]) AtEnd() bool { return r.ahead == nil && r.pages.AtEnd() }

// Next gives the next page, of limit elements at most, which is good until it is called again.
func (r *Reader[E]) Next(ctx context.Context, limit int) ([]E, error) {
	clear(r.buffers[0]) // or what these elements point to would stay in memory
	r.share.Release(r.held)
	r.held = 0
	var next read[E]
	if r.ahead != nil {
		next = <-r.ahead
		r.ahead = nil
		r.cancel()
	} else {
		reserved, err := r.share.Reserve(ctx) // at once, since nothing is held
		if err != nil {
			return nil, err
		}
		next = r.read(ctx, limit, reserved, r.buffers[1])
	}
	r.held = next.held
	r.buffers[0], r.buffers[1] = next.page, r.buffers[0]
	return next.page, next.err
}

// read reads a page for which bytes are reserved.
func (r *Reader[E]) read(ctx context.Context, limit int, reserved int64, buffer []E) read[E] {
	page, held, err := r.pages.Next(ctx, limit, reserved, buffer)
	r.share.Keep(reserved, held)
	return read[E]{page, held, err}
}

// Start begins to read ahead, if there is more to read, pages have grown, and there is room for one more. Nothing is read twice or left out:
// only one page is read at a time.
func (r *Reader[E]) Start(ctx context.Context, limit int) {
	if limit <= 0 || r.pages.AtEnd() || !r.pages.Grown() {
		return
	}
	reserved, ok := r.share.TryReserve()
	if !ok {
		return
	}
	ahead, buffer := make(chan read[E], 1), r.buffers[1]
	r.ahead = ahead
	ctx, r.cancel = context.WithCancel(ctx)
	go func() { ahead <- r.read(ctx, limit, reserved, buffer) }()
}

// Close cancels and waits for what is read ahead, and gives the memory back.
func (r *Reader[E]) Close() {
	if r.ahead != nil {
		r.cancel()
		<-r.ahead
	}
	r.share.Close()
}
