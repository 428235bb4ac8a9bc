package subscription

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

// batchesPerFetch is how many batches one query may bring: far behind, fewer and larger pages are faster.
const batchesPerFetch = 4

// fetch reads the log ahead of the handler, page by page, as it becomes stable.
func (w *shardWorker) fetch(ctx context.Context, after int64, share *readbudget.Share, out chan<- page) error {
	pages := w.sub.core.Pages(w.filter, after, batchesPerFetch*w.sub.config.BatchSize, w.beside)
	for {
		stable, err := w.hub.waitStable(ctx, pages.After())
		if err != nil {
			return err
		}
		pages.Until(stable)
		events, err := w.fetchPage(ctx, pages, share)
		unreadable := asUnreadable(err)
		if err != nil && unreadable == nil {
			return err
		}
		fetched := batches(events, w.sub.config.BatchSize, pages.After())
		if unreadable != nil {
			fetched = []page{{events: []eventstream.LogEvent{{Event: unreadable.Event}}, upto: pages.After(), unreadable: unreadable}}
		}
		for _, p := range fetched {
			select {
			case out <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// fetchPage reads a page within a share of the budget: once handlers are done with enough of those before.
func (w *shardWorker) fetchPage(ctx context.Context, pages logPages, share *readbudget.Share) ([]eventstream.LogEvent, error) {
	if w.nothing {
		pages.Skip()
		return nil, nil
	}
	reserved, err := share.Reserve(ctx)
	if err != nil {
		return nil, err
	}
	var events []eventstream.LogEvent
	defer func() { share.Keep(reserved, bytesOf(events)) }()
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := w.recognize(ctx, conn); err != nil {
		return nil, err
	}
	events, err = pages.Next(ctx, conn, reserved, w.hub.buffer())
	return events, err
}

// recognize demands of a connection that it goes to the server that has this process's lock.
func (w *shardWorker) recognize(ctx context.Context, conn *pgxpool.Conn) error {
	if w.same.Knows(conn.Conn()) {
		return nil
	}
	if _, err := w.shardRow(ctx, conn); err != nil {
		return err
	}
	w.same.Add(conn.Conn())
	return nil
}

// beside gives fetchPage a second connection, if one is free.
func (w *shardWorker) beside(ctx context.Context, lent func()) (db.DBTX, func(), error) {
	conn, release, err := w.hub.acquireSpare(ctx, w.sub.slots)
	if err != nil {
		return nil, nil, err
	}
	lent()
	if err := w.recognize(ctx, conn); err != nil {
		release()
		return nil, nil, err
	}
	return conn, release, nil
}

// buffer gives the memory of a page that is done with, if there is one. Handlers get copies.
func (h *hub) buffer() []eventstream.LogEvent {
	if buffer, ok := h.buffers.Get().(*[]eventstream.LogEvent); ok {
		return *buffer
	}
	return nil
}

// recycle takes the memory of a batch back, and with the last batch of a page that of the page.
func (w *shardWorker) recycle(p page) {
	// What is done with must not be kept in memory by what is used again.
	clear(p.events)
	clear(w.lent)
	w.share.Release(p.bytes)
	if p.whole != nil {
		w.hub.buffers.Put(&p.whole)
	}
}

// batches splits what was fetched; the last one goes as far as the page did.
func batches(events []eventstream.LogEvent, size int, upto int64) []page {
	pages, whole := make([]page, 0, len(events)/size+1), events
	for len(events) > size {
		// Full slices, so that leaving some out of one cannot reach into the next.
		pages = append(pages, page{events: events[:size:size], upto: events[size-1].Position, bytes: bytesOf(events[:size])})
		events = events[size:]
	}
	return append(pages, page{events: events, upto: upto, bytes: bytesOf(events), whole: whole})
}
