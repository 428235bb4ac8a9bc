package eventstream

import (
	"context"
	"iter"
	"strconv"

	"github.com/google/uuid"

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

// Read goes through the events of a stream in pages of Config.PageSize and at most 4 MiB, within Config.MaxReadBytes: memory stays bounded,
// whatever the sizes of events, no transaction is held, and the loop's body may use the same connection. Events appended meanwhile are seen
// when the reading gets there.
//
// An error comes once, as the last pair: a *StreamNotFoundError for a stream that is not there. Only an *UnreadableEventError is not the
// last: it comes in the place of its event, and a loop that goes on gets those after it, except in a transaction, which the server's error
// ends. A From past the end gives no event and no error.
func (r *Repository) Read(ctx context.Context, id StreamID, opts ReadOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := errorsFirst(id.Validate(), opts.validate()); err != nil {
			yield(Event{}, err)
			return
		}
		share := r.budget.Share()
		defer share.Close()
		pages := r.streamPages(r.handle, id, opts)
		for first := true; first || !pages.atEnd; first = false {
			reading, trace := r.startRead(ctx, OperationRead, id)
			events, err := pages.nextWithin(reading, share)
			trace.end(len(events), err)
			if err == nil && first && len(events) == 0 {
				// No event at all: a missing stream is a mistake worth a word, an empty range is not.
				_, err = r.stream(ctx, r.handle, id)
			}
			if unreadable := asUnreadable(err); unreadable != nil {
				if !yield(unreadable.Event, unreadable) {
					return
				}
				continue
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			for i := range events {
				if !yield(events[i], nil) {
					return
				}
			}
		}
	}
}

// Event returns the event of an id, ErrEventNotFound, or an *UnreadableEventError.
func (r *Repository) Event(ctx context.Context, eventID uuid.UUID) (Event, error) {
	row, err := r.queries.EventGet(ctx, r.handle, eventID)
	if mayBeUnreadable(err) {
		if position, failed := r.queries.EventPosition(ctx, r.handle, eventID); failed == nil {
			err = r.nameUnreadableAt(ctx, position, err)
		}
	}
	if err != nil {
		return Event{}, notFound(unreadable(err), &EventNotFoundError{EventID: eventID})
	}
	return eventFromRow(&row), nil
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

// Fold hands the events of a stream to f one by one, from a version on, for code that makes something small out of a whole stream. It takes
// one round trip, as Load does, and holds one event at a time, as Read does not need more either: but it keeps its connection until it
// returns, so f must not use that, and should not take long. An error of f ends it and is returned as it is.
//
// A stream without events is no error: f is not called.
func (r *Repository) Fold(ctx context.Context, id StreamID, from int64, f func(Event) error) error {
	if f == nil {
		return invalidValue("f", "nil", "a function for an event")
	}
	if r.trace == nil {
		return r.foldEvents(ctx, id, from, f)
	}
	ctx, trace := r.startRead(ctx, OperationFold, id)
	events := 0
	err := r.foldEvents(ctx, id, from, func(e Event) error { events++; return f(e) })
	trace.end(events, err)
	return err
}

func (r *Repository) foldEvents(ctx context.Context, id StreamID, from int64, f func(Event) error) error {
	if err := errorsFirst(id.Validate(), ReadOptions{From: from}.validate()); err != nil {
		return err
	}
	rows := rowsOn(r.handle)
	if _, err := r.queries.EventFold(ctx, rows, db.EventFoldParams{StreamID: string(id), FromVersion: from}); err != nil {
		return mapError(err)
	}
	own, err := rows.fold(f)
	if own != nil {
		return own
	}
	if err != nil {
		return mapError(r.nameUnreadable(ctx, r.handle, id, err))
	}
	return nil
}

// fold hands each row to f. It tells an error of f from one of the database.
func (r *rowsOf) fold(f func(Event) error) (own, err error) {
	defer r.Rows.Close()
	scanner := eventScanner{rows: r.Rows}
	for r.Rows.Next() {
		var e Event
		if err := scanner.scan(&e); err != nil {
			return nil, err
		}
		if own := f(e); own != nil {
			return own, nil
		}
	}
	return nil, r.Rows.Err()
}
