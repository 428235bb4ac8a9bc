package eventstream

import (
	"context"
	"math"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/paging"
	"github.com/gaplesspg/gapless/internal/readbudget"
)

// streamPages reads a stream page by page.
type streamPages struct {
	repo      *Repository
	handle    Handle
	id        StreamID
	from      int64
	left      int
	backwards bool
	size      paging.Size
	// unreadable is an event that was met and is not passed yet, and most how many events to ask for before it; 0 is no bound.
	unreadable *UnreadableEventError
	most       int
	// atEnd says that there is no further page.
	atEnd bool
}

func (r *Repository) streamPages(h Handle, id StreamID, opts ReadOptions) *streamPages {
	p := &streamPages{
		repo: r, handle: h, id: id, from: opts.From, left: opts.Limit, backwards: opts.Backwards,
		size: paging.NewSize(r.config.PageSize, r.config.PageSize),
	}
	if p.backwards && p.from == 0 {
		p.from = math.MaxInt64
	}
	if p.left == 0 {
		p.left = math.MaxInt
	}
	return p
}

// nextWithin reads the next page within a share of the budget, which holds the last one until then.
func (p *streamPages) nextWithin(ctx context.Context, share *readbudget.Share) ([]Event, error) {
	share.Close()
	reserved, err := share.Reserve(ctx) // at once, since nothing is held
	if err != nil {
		return nil, err
	}
	events, bytes, err := p.next(ctx, reserved)
	share.Keep(reserved, bytes)
	return events, err
}

// next reads the next page, of so many bytes at most, and says how many it has. After an *UnreadableEventError it goes on behind that event.
func (p *streamPages) next(ctx context.Context, limit int64) ([]Event, int64, error) {
	for {
		size := p.size.Next(p.left)
		if p.clip(&size) {
			return nil, 0, p.pass()
		}
		rows := rowsOn(p.handle)
		var events []Event
		var end paging.End
		err := p.query(ctx, rows, int32(size), limit)
		if err == nil {
			events, end, err = collect(rows, nil, streamEvent, size, limit)
		}
		if err != nil {
			return nil, 0, mapError(p.find(ctx, size, err)) // if that finds one, the next page ends before it
		}
		bytes := int64(0)
		for i := range events {
			bytes += events[i].bytes()
		}
		p.size.Adapt(len(events), end, false, bytes, limit)
		if end == paging.EndAtLarge && len(events) == 0 {
			continue // the first one is large, and now comes with the page
		}
		p.moveOn(events, end)
		return events, bytes, nil
	}
}

func (p *streamPages) query(ctx context.Context, h Handle, size int32, limit int64) (err error) {
	queries, id := p.repo.queries, string(p.id)
	switch large := p.size.Weighed(); {
	case large && p.backwards:
		_, err = queries.EventListHeavyBackward(ctx, h, db.EventListHeavyBackwardParams{
			StreamID: id, FromVersion: p.from, PageSize: size, MaxBytes: limit,
		})
	case large:
		_, err = queries.EventListHeavyForward(ctx, h, db.EventListHeavyForwardParams{
			StreamID: id, FromVersion: p.from, PageSize: size, MaxBytes: limit,
		})
	case p.backwards:
		_, err = queries.EventListBackward(ctx, h, db.EventListBackwardParams{StreamID: id, FromVersion: p.from, PageSize: size})
	default:
		_, err = queries.EventListForward(ctx, h, db.EventListForwardParams{StreamID: id, FromVersion: p.from, PageSize: size})
	}
	return err
}

// moveOn leaves a page behind.
func (p *streamPages) moveOn(events []Event, end paging.End) {
	p.left -= len(events)
	if end == paging.EndOfRange || p.left == 0 {
		p.atEnd = true
		return
	}
	p.from = events[len(events)-1].Version + p.step()
	p.atEnd = p.from == 0
}

func (p *streamPages) step() int64 {
	if p.backwards {
		return -1
	}
	return 1
}

// clip ends a page before an event that cannot be read, if one was met, and says whether nothing is left before it.
func (p *streamPages) clip(size *int) (reached bool) {
	if p.unreadable == nil {
		return false
	}
	before := (p.unreadable.Event.Version - p.from) * p.step()
	*size = int(min(int64(*size), before))
	if p.most > 0 {
		*size = min(*size, p.most)
	}
	return before == 0
}

// find looks for the event that cannot be read. How many come before it, its version says, unless reading began where there is no version,
// or one is missing: then it is met again, and smaller pages lead up to it.
func (p *streamPages) find(ctx context.Context, size int, err error) error {
	again := p.unreadable != nil
	p.unreadable, err = p.repo.unreadableInStream(ctx, p.handle, p.id, p.from, size, p.backwards, err)
	switch {
	case err != nil:
		return err
	case size == 1:
		p.from = p.unreadable.Event.Version
	case again:
		p.most = size / 2
	}
	return nil
}

// pass moves on over the event that cannot be read, and returns the error that names it.
func (p *streamPages) pass() error {
	unreadable := p.unreadable
	p.unreadable, p.most, p.from, p.left = nil, 0, p.from+p.step(), p.left-1
	p.atEnd = p.from == 0 || p.left == 0
	return unreadable
}

// eventRange reads so many events of a stream from a version on, all that there are of them.
func (r *Repository) eventRange(ctx context.Context, h Handle, id StreamID, from int64, count int) ([]Event, error) {
	pages := r.streamPages(h, id, ReadOptions{From: from, Limit: count})
	var all []Event
	for !pages.atEnd {
		events, _, err := pages.next(ctx, math.MaxInt64)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	return all, nil
}
