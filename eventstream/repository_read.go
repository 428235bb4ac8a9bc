package eventstream

import (
	"context"
	"iter"
	"math"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

// ReadOptions selects a part of a stream. The zero value is all of it, upwards.
type ReadOptions struct {
	// From is the version to start with, that one included. Default: 0, which is the first, or the last if Backwards.
	From int64
	// Limit ends the reading after so many events. Default: 0, which is no limit.
	Limit int
	// Backwards reads downwards, from newer to older. Default: false.
	Backwards bool
}

func (o ReadOptions) validate() error {
	if o.From < 0 {
		return invalidValue("ReadOptions.From", strconv.FormatInt(o.From, 10), "0 or more")
	}
	if o.Limit < 0 {
		return invalidValue("ReadOptions.Limit", strconv.Itoa(o.Limit), "0 or more")
	}
	return nil
}

// Read goes through the events of a stream in pages of Config.PageSize: memory stays bounded, no transaction is held, and the
// loop's body may use the same connection. Events appended meanwhile are seen when the reading gets there.
//
// An error comes once, as the last pair: a *StreamNotFoundError for a stream that is not there. Only an *UnreadableEventError is not the
// last: it comes in the place of its event, and a loop that goes on gets those after it, except in a transaction, which the server's error
// ends. A From past the end gives no event and no error.
func (r *Repository) Read(ctx context.Context, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return r.read(ctx, r.handle, id, opts)
}

// ReadTx is Read in a transaction of the caller.
func (r *Repository) ReadTx(ctx context.Context, tx pgx.Tx, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return r.read(ctx, tx, id, opts)
}

// Event returns the event of an id, or ErrEventNotFound.
func (r *Repository) Event(ctx context.Context, eventID uuid.UUID) (Event, error) {
	return r.event(ctx, r.handle, eventID)
}

// EventTx is Event in a transaction of the caller.
func (r *Repository) EventTx(ctx context.Context, tx pgx.Tx, eventID uuid.UUID) (Event, error) {
	return r.event(ctx, tx, eventID)
}

func (r *Repository) event(ctx context.Context, h Handle, eventID uuid.UUID) (Event, error) {
	row, err := r.queries.EventGet(ctx, h, eventID)
	if err != nil {
		return Event{}, notFound(unreadable(err), &EventNotFoundError{EventID: eventID})
	}
	return eventFromRow(&row), nil
}

func (r *Repository) read(ctx context.Context, h Handle, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := errorsFirst(id.Validate(), opts.validate()); err != nil {
			yield(Event{}, err)
			return
		}
		pages := r.eventPages(h, id, opts)
		for first := true; ; first = false {
			rows, more, err := pages.page(ctx)
			if err == nil && first && len(rows) == 0 {
				// No event at all: a missing stream is a mistake worth a word, an empty range is not.
				_, err = r.stream(ctx, h, id)
			}
			if unreadable := asUnreadable(err); unreadable != nil {
				if !yield(unreadable.Event, unreadable) || !more {
					return
				}
				continue
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for i := range rows {
				if !yield(rows[i], nil) {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

// eventPages reads a part of a stream page by page.
type eventPages struct {
	repo      *Repository
	handle    Handle
	id        StreamID
	next      int64
	left      int
	backwards bool
	// unreadable is an event that was met and is not passed yet, and most how many events to ask for before it; 0 is no bound.
	unreadable *UnreadableEventError
	most       int
}

func (r *Repository) eventPages(h Handle, id StreamID, opts ReadOptions) *eventPages {
	p := &eventPages{repo: r, handle: h, id: id, next: opts.From, left: opts.Limit, backwards: opts.Backwards}
	if p.backwards && p.next == 0 {
		p.next = math.MaxInt64
	}
	if p.left == 0 {
		p.left = math.MaxInt
	}
	return p
}

func (p *eventPages) step() int64 {
	if p.backwards {
		return -1
	}
	return 1
}

// page fetches the next page, and says whether there may be another.
func (p *eventPages) page(ctx context.Context) ([]Event, bool, error) {
	size := min(p.repo.config.PageSize, p.left)
	if p.unreadable != nil {
		before := (p.unreadable.Event.Version - p.next) * p.step()
		if before == 0 {
			return p.pass()
		}
		size = int(min(int64(size), before))
		if p.most > 0 {
			size = min(size, p.most)
		}
	}
	rows, err := p.repo.eventPage(ctx, p.handle, p.id, p.next, size, p.backwards)
	if err != nil {
		return nil, true, mapError(p.find(ctx, size, err)) // if that finds one, the next page ends before it
	}
	p.left -= len(rows)
	if len(rows) < size || p.left == 0 {
		return rows, false, nil
	}
	p.next = rows[len(rows)-1].Version + p.step()
	return rows, p.next > 0, nil
}

// find looks for the event that cannot be read. How many come before it, its version says, unless reading began where there is no version,
// or one is missing: then it is met again, and smaller pages lead up to it.
func (p *eventPages) find(ctx context.Context, size int, err error) error {
	again := p.unreadable != nil
	p.unreadable, err = p.repo.unreadableInStream(ctx, p.handle, p.id, p.next, size, p.backwards, err)
	switch {
	case err != nil:
		return err
	case size == 1:
		p.next = p.unreadable.Event.Version
	case again:
		p.most = size / 2
	}
	return nil
}

// pass moves on over the event that cannot be read, and returns the error that names it.
func (p *eventPages) pass() ([]Event, bool, error) {
	unreadable := p.unreadable
	p.unreadable, p.most, p.next, p.left = nil, 0, p.next+p.step(), p.left-1
	return nil, p.next > 0 && p.left > 0, unreadable
}

func (r *Repository) eventPage(
	ctx context.Context, h Handle, id StreamID, from int64, size int, backwards bool,
) ([]Event, error) {
	rows := &rowsOf{Handle: h}
	var err error
	if backwards {
		_, err = r.queries.EventListBackward(ctx, rows, db.EventListBackwardParams{
			StreamID: string(id), FromVersion: from, PageSize: int32(size),
		})
	} else {
		_, err = r.queries.EventListForward(ctx, rows, db.EventListForwardParams{
			StreamID: string(id), FromVersion: from, PageSize: int32(size),
		})
	}
	if err != nil {
		return nil, err
	}
	return collectEvents(rows.rows)
}

// errorsFirst returns the first error that is one.
func errorsFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
