package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
)

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
