package eventstream

import "context"

const (
	// firstFetch is the size of the first page; full pages double it, up to the batch size.
	firstFetch = 64
	// pageBytes is what a page should not exceed: with large payloads pages get smaller.
	pageBytes = 4 << 20
	// firstWindow and widestWindow bound how many positions one query of a filtered reader goes through.
	firstWindow, widestWindow = 4096, 1 << 20
)

// fetch reads the log ahead of the handler, page by page, as it becomes stable.
func (w *shardWorker) fetch(ctx context.Context, after int64, pages chan<- page) error {
	size, window := min(firstFetch, w.sub.config.BatchSize), int64(firstWindow)
	filtered := !w.filter.isZero()
	for {
		stable, err := w.hub.waitStable(ctx, after)
		if err != nil {
			return err
		}
		until := stable
		if filtered {
			until = min(stable, after+window)
		}
		events, err := w.fetchPage(ctx, after, until, size)
		if err != nil {
			return err
		}
		full := len(events) == size
		if full {
			until = events[len(events)-1].Position
		}
		size, window = nextSizes(size, w.sub.config.BatchSize, window, full, bytesOf(events))
		select {
		case pages <- page{events: events, upto: until}:
		case <-ctx.Done():
			return ctx.Err()
		}
		after = until
	}
}

func (w *shardWorker) fetchPage(ctx context.Context, after, until int64, size int) ([]LogEvent, error) {
	conn, release, err := w.hub.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	return w.hub.repo.logPage(ctx, conn, after, until, size, w.filter, false)
}

// nextSizes grows what was too small and shrinks what was too large: full pages ask for larger ones and a narrower window,
// heavy pages for smaller ones.
func nextSizes(size, largest int, window int64, full bool, bytes int) (int, int64) {
	switch {
	case bytes > pageBytes:
		size = max(size/2, 1)
	case full && 2*bytes <= pageBytes:
		size = min(2*size, largest)
	}
	if full {
		return size, max(window/2, firstWindow)
	}
	return size, min(4*window, widestWindow)
}

func bytesOf(events []LogEvent) int {
	bytes := 0
	for i := range events {
		bytes += len(events[i].Payload) + len(events[i].Data) + len(events[i].Metadata)
	}
	return bytes
}
