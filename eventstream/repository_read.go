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
// An error comes once, as the last pair: a *StreamNotFoundError for a stream that is not there. A From past the end gives no
// event and no error.
func (r *Repository) Read(ctx context.Context, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return r.read(ctx, r.handle, id, opts)
}

// ReadTx is Read in a transaction of the caller.
func (r *Repository) ReadTx(ctx context.Context, tx pgx.Tx, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return r.read(ctx, handleOf(tx), id, opts)
}

// Event returns the event of an id, or ErrEventNotFound.
func (r *Repository) Event(ctx context.Context, eventID uuid.UUID) (Event, error) {
	return r.event(ctx, r.handle, eventID)
}

// EventTx is Event in a transaction of the caller.
func (r *Repository) EventTx(ctx context.Context, tx pgx.Tx, eventID uuid.UUID) (Event, error) {
	return r.event(ctx, handleOf(tx), eventID)
}

func (r *Repository) event(ctx context.Context, h Handle, eventID uuid.UUID) (Event, error) {
	row, err := r.queries.EventGet(ctx, h, eventID)
	if err != nil {
		return Event{}, notFound(err, &EventNotFoundError{EventID: eventID})
	}
	return eventFromRow(&row), nil
}

func (r *Repository) read(ctx context.Context, h Handle, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := errorsFirst(id.Validate(), opts.validate()); err != nil {
			yield(Event{}, err)
			return
		}
		page := r.eventPages(h, id, opts)
		for first := true; ; first = false {
			rows, more, err := page(ctx)
			if err == nil && first && len(rows) == 0 {
				// No event at all: a missing stream is a mistake worth a word, an empty range is not.
				_, err = r.stream(ctx, h, id)
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

// eventPages returns a function that fetches the next page on each call, and says whether there may be another.
func (r *Repository) eventPages(h Handle, id StreamID, opts ReadOptions) func(context.Context) ([]Event, bool, error) {
	next, left := opts.From, opts.Limit
	if opts.Backwards && next == 0 {
		next = math.MaxInt64
	}
	if left == 0 {
		left = math.MaxInt
	}
	return func(ctx context.Context) ([]Event, bool, error) {
		size := min(r.config.PageSize, left)
		rows, err := r.eventPage(ctx, h, id, next, size, opts.Backwards)
		if err != nil {
			return nil, false, mapError(err)
		}
		left -= len(rows)
		if len(rows) < size || left == 0 {
			return rows, false, nil
		}
		if last := rows[len(rows)-1].Version; opts.Backwards {
			next = last - 1
		} else {
			next = last + 1
		}
		return rows, next > 0, nil
	}
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
