package decider

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/eventstream"
)

// refused decides whether another try makes sense after an error of an append, and brings the state up to it.
func (h *handling[Command, State]) refused(ctx context.Context, err error) error {
	conflicts, ok := conflictsOf(err)
	switch {
	case ok:
		if err := h.catchUp(ctx, conflicts, err); err != nil {
			return err
		}
	case h.options.command != nil && errors.Is(err, eventstream.ErrEventIDConflict):
		// Another handling of this command has come to another decision, as by the time of day, and appended it first.
		if failed := h.readOn(ctx, h.streams); failed != nil || !h.doneBefore() {
			return err
		}
		return nil
	case wasUndone(err):
		// In a transaction of the caller nothing works any more: the error to know is the first.
		if failed := h.readOn(ctx, h.streams); failed != nil {
			return err
		}
	default:
		return alone(err)
	}
	if h.doneBefore() {
		return nil
	}
	if h.tries >= h.options.tries {
		return &TriesError{Tries: h.tries, Err: alone(err)}
	}
	return h.options.wait(ctx, h.tries)
}

// catchUp folds what came after the versions that were expected: what the refusals bring, and what they had no room for.
func (h *handling[Command, State]) catchUp(ctx context.Context, conflicts []*eventstream.VersionConflictError, err error) error {
	moved := false
	for _, s := range h.streams {
		for _, conflict := range conflicts {
			if conflict.StreamID != s.id {
				continue
			}
			before := s.version
			for _, e := range conflict.Newer {
				if e.Version != s.version+1 {
					break // what is hidden from this role, or damaged, is for Read to say
				}
				if err := h.see(s, e); err != nil {
					return err
				}
			}
			if s.version < conflict.Actual {
				if err := h.readOn(ctx, []*past{s}); err != nil {
					return err
				}
			}
			moved = moved || s.version > before
		}
	}
	if !moved {
		return alone(err) // nobody was faster: the same again would fail in the same way
	}
	return nil
}

// conflictsOf gives the conflicts of an append, if it was refused for these alone.
func conflictsOf(err error) ([]*eventstream.VersionConflictError, bool) {
	var batch *eventstream.BatchError
	if !errors.As(err, &batch) {
		var conflict *eventstream.VersionConflictError
		if errors.As(err, &conflict) {
			return []*eventstream.VersionConflictError{conflict}, true
		}
		return nil, false
	}
	conflicts := make([]*eventstream.VersionConflictError, len(batch.Refused))
	for i, refused := range batch.Refused {
		if !errors.As(refused.Err, &conflicts[i]) {
			return nil, false
		}
	}
	return conflicts, len(conflicts) > 0
}

// alone is the error of a batch of one request without what is about batches.
func alone(err error) error {
	var batch *eventstream.BatchError
	if errors.As(err, &batch) && batch.Requests == 1 && len(batch.Refused) == 1 {
		return batch.Refused[0].Err
	}
	return err
}

// SQLSTATEs of a statement that another writer was in the way of, and of which nothing is left.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// wasUndone says whether the database took an append back for the sake of another writer, as it may where the default isolation is higher
// than READ COMMITTED.
func wasUndone(err error) bool {
	if batch := new(eventstream.BatchError); errors.As(err, &batch) {
		return false // an outcome: the database found something else to say
	}
	var cause *pgconn.PgError
	return errors.Is(err, eventstream.ErrPositionOrder) || errors.Is(err, eventstream.ErrVersionConflict) ||
		errors.As(err, &cause) && (cause.Code == serializationFailure || cause.Code == deadlockDetected)
}
