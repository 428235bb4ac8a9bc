package eventstream

import (
	"context"
	"math"
)

// batchesPerFetch is how many batches one query may bring: far behind, fewer and larger pages are faster.
const batchesPerFetch = 4

// fetch reads the log ahead of the handler, page by page, as it becomes stable.
func (w *shardWorker) fetch(ctx context.Context, after int64, out chan<- page) error {
	pages := newLogPages(w.filter, false, after, after, batchesPerFetch*w.sub.config.BatchSize)
	for {
		stable, err := w.hub.waitStable(ctx, pages.after)
		if err != nil {
			return err
		}
		pages.until = stable
		events, err := w.fetchPage(ctx, pages)
		if err != nil {
			return err
		}
		for _, p := range batches(events, w.sub.config.BatchSize, pages.after) {
			select {
			case out <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (w *shardWorker) fetchPage(ctx context.Context, pages *logPages) ([]LogEvent, error) {
	if w.nothing {
		pages.after = pages.until
		return nil, nil
	}
	conn, release, err := w.hub.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if !w.same.knows(conn.Conn()) {
		if _, err := w.shardRow(ctx, conn); err != nil {
			return nil, err
		}
		w.same.add(conn.Conn())
	}
	return pages.next(ctx, w.hub.repo, conn, math.MaxInt, w.buffer())
}

// buffer gives the memory of a page that is done with, if there is one. Handlers get copies.
func (w *shardWorker) buffer() []LogEvent {
	select {
	case buffer := <-w.buffers:
		return buffer
	default:
		return nil
	}
}

// recycle takes the memory of a page back, with its last batch.
func (w *shardWorker) recycle(p page) {
	if p.whole == nil {
		return
	}
	select {
	case w.buffers <- p.whole:
	default:
	}
}

// batches splits what was fetched; the last one goes as far as the page did.
func batches(events []LogEvent, size int, upto int64) []page {
	pages, whole := make([]page, 0, len(events)/size+1), events
	for len(events) > size {
		// Full slices, so that leaving some out of one cannot reach into the next.
		pages = append(pages, page{events: events[:size:size], upto: events[size-1].Position})
		events = events[size:]
	}
	return append(pages, page{events: events, upto: upto, whole: whole})
}
