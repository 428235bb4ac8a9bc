package eventstream

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/access"
	"github.com/gaplesspg/gapless/internal/apart"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
	"github.com/gaplesspg/gapless/internal/paging"
)

// logPages reads a range of the log, from after, exclusive, to until, page by page.
type logPages struct {
	after, until int64
	apart        apart.Positions
	size         paging.Size
	numbers      numberer
	// unreadable is an event that was met and is not passed yet.
	unreadable *UnreadableEventError
	// same knows the connections that go to the log that is read.
	same logend.Same
	// beside gives one more of these; nil if there are none.
	beside access.Beside
	// dense says that at least half of the positions of the last page were events of it.
	dense bool
	// position and id are of the last event that was read; 0 before the first.
	position int64
	id       uuid.UUID
}

func newLogPages(filter LogFilter, backwards bool, after, until int64, most int) *logPages {
	return &logPages{
		after: after, until: until,
		size:    paging.NewSize(paging.FirstPage, most),
		numbers: numberer{filter: filter, backwards: backwards},
	}
}

// skipTo leaves out what comes before the first event of every partition that is read.
func (p *logPages) skipTo(partitions int) {
	if len(p.apart) == 0 {
		return
	}
	read := p.numbers.filter.Partitions
	if len(read) == 0 {
		read = make([]int, partitions)
		for i := range read {
			read[i] = i
		}
	}
	first := p.until
	for _, partition := range read {
		first = min(first, p.apart[partition])
	}
	p.after = max(p.after, first)
}

func (p *logPages) atEnd() bool { return p.after >= p.until }

// next reads the next page, of so many events and bytes at most, and moves on over the positions that it covered. After an
// *UnreadableEventError it goes on behind that event.
func (p *logPages) next(ctx context.Context, r *Repository, h Handle, limit int, bytes int64, buffer []LogEvent) ([]LogEvent, error) {
	h, release, err := p.on(ctx, r, h)
	if err != nil || p.atEnd() {
		return nil, err
	}
	defer release()
	for {
		size := p.size.Next(limit)
		window := min(p.size.Window(), p.until-p.after)
		wanted := pageWanted{after: p.after, until: p.after + window, size: size, bytes: bytes, large: p.size.Weighed()}
		if p.numbers.backwards {
			wanted.after, wanted.until = p.until-window, p.until
		}
		if p.clip(&wanted) {
			return nil, p.pass()
		}
		var events []LogEvent
		var end paging.End
		err := isolation.OrReadCommitted(ctx, h, func(h db.DBTX) (err error) {
			events, end, err = p.readPage(ctx, r, h, wanted, buffer)
			return err
		})
		if err != nil {
			p.unreadable, err = r.unreadableInLog(ctx, h, wanted, &p.numbers, err)
			return nil, err // without one, the next page ends before the event that cannot be read
		}
		p.read(events)
		p.size.Adapt(len(events), end, window < p.until-p.after, bytesOf(events), bytes)
		if end == paging.EndAtLarge && len(events) == 0 {
			continue // the first one is large, and now comes with the page
		}
		p.moveOn(wanted, events, end)
		p.dense = 2*int64(len(events)) >= p.after-wanted.after
		return dropBefore(events, p.apart), nil
	}
}

// moveOn leaves behind what a page covered.
func (p *logPages) moveOn(wanted pageWanted, events []LogEvent, end paging.End) {
	switch backwards := p.numbers.backwards; {
	case backwards && end != paging.EndOfRange:
		p.until = events[len(events)-1].Position - 1
	case backwards:
		p.until = wanted.after
	case end != paging.EndOfRange:
		p.after = events[len(events)-1].Position
	default:
		p.after = wanted.until
	}
}

// clip ends a page before an event that cannot be read, if one was met, and says whether nothing is left before it.
func (p *logPages) clip(page *pageWanted) (reached bool) {
	switch {
	case p.unreadable == nil:
		return false
	case p.numbers.backwards:
		page.after = max(page.after, p.unreadable.Event.Position)
		return p.until <= p.unreadable.Event.Position
	default:
		page.until = min(page.until, p.unreadable.Event.Position-1)
		return p.after >= p.unreadable.Event.Position-1
	}
}

// pass moves on over the event that cannot be read, and returns the error that names it; nil if it is none of the reader's.
func (p *logPages) pass() error {
	unreadable := p.unreadable
	p.unreadable = nil
	if p.numbers.backwards {
		p.until = unreadable.Event.Position - 1
	} else {
		p.after = unreadable.Event.Position
	}
	// It has a number in its partition, which the next event there must not get.
	p.numbers.partition(unreadable.Event.PartitionID).countable = false
	if unreadable.Event.Position <= p.apart[unreadable.Event.PartitionID] {
		return nil
	}
	return unreadable
}

// dropBefore leaves out events of partitions that start further on.
func dropBefore(events []LogEvent, ahead apart.Positions) []LogEvent {
	if len(ahead) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(e LogEvent) bool { return ahead.Passed(e.PartitionID, e.Position) })
}

// read remembers the last event that was read.
func (p *logPages) read(events []LogEvent) {
	if n := len(events); n > 0 {
		p.position, p.id = events[n-1].Position, events[n-1].ID
	}
}

// on gives what the next page is read on: of a pool, a connection that goes to the same log, up to where it has it.
func (p *logPages) on(ctx context.Context, r *Repository, h Handle) (Handle, func(), error) {
	if !r.onPool(h) {
		return h, func() {}, nil
	}
	conn, err := r.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !p.same.Knows(conn.Conn()) {
		if err := p.compare(ctx, r, r.bind(conn)); err != nil {
			conn.Release()
			return nil, nil, err
		}
		p.same.Add(conn.Conn())
	}
	if p.atEnd() {
		conn.Release()
		return nil, nil, nil
	}
	return r.bind(conn), conn.Release, nil
}

// compare asks a connection that the reader has not read on whether its log has what was read, and how far it can be read there.
func (p *logPages) compare(ctx context.Context, r *Repository, h Handle) error {
	last, err := p.holds(ctx, r, h)
	if err != nil || last >= p.until {
		return err
	}
	if p.numbers.backwards {
		return p.gone(last) // what was to be read next is not there
	}
	p.until = last
	return nil
}

// holds is how far the log of a connection can be read, if it has what was read.
func (p *logPages) holds(ctx context.Context, r *Repository, h Handle) (last int64, err error) {
	look, err := logend.Look(ctx, h)
	if err != nil || p.position == 0 {
		return look.StablePosition, err
	}
	holds, err := r.queries.LogHoldsEvent(ctx, h, db.LogHoldsEventParams{Position: p.position, EventID: p.id})
	if err == nil && !holds {
		err = p.gone(look.StablePosition)
	}
	return look.StablePosition, err
}

func (p *logPages) gone(last int64) error {
	return &BeyondLogError{Field: fieldEvent, Value: p.position, Last: last}
}

// pagesOn are pages that are read on a handle.
type pagesOn struct {
	*logPages
	repo   *Repository
	handle Handle
}

func (p pagesOn) AtEnd() bool { return p.atEnd() }

func (p pagesOn) Grown() bool { return p.size.Grown() }

func (p pagesOn) Next(ctx context.Context, limit int, bytes int64, buffer []LogEvent) ([]LogEvent, int64, error) {
	events, err := p.next(ctx, p.repo, p.handle, limit, bytes, buffer)
	return events, bytesOf(events), err
}
