package eventstream

import (
	"context"
	"iter"
	"strconv"

	"github.com/google/uuid"
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
