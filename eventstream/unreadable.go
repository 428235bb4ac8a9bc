package eventstream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
)

// UnreadableEventError says that an event is stored and the server cannot give it to anybody. No event gets in that way: somebody put it there
// past the rules, or a disk has lost a part of it.
type UnreadableEventError struct {
	// Event is all of it that can be read: neither Payload, Data nor Metadata.
	Event Event
	// Problem is what the server says of it.
	Problem string
	// Err is the error that a reader got.
	Err error
}

// Error names the event and what is wrong with it.
func (e *UnreadableEventError) Error() string {
	return fmt.Sprintf("event %s at position %d (%s, version %d of stream %s) cannot be read: %s: skip or park it, or restore it from a backup",
		e.Event.ID, e.Event.Position, quote(string(e.Event.Type)), e.Event.Version, quote(string(e.Event.StreamID)), e.Problem)
}

// Is matches ErrUnreadableEvent.
func (e *UnreadableEventError) Is(target error) bool { return target == ErrUnreadableEvent }

// Unwrap returns the error that a reader got.
func (e *UnreadableEventError) Unwrap() error { return e.Err }

// asUnreadable returns the error as what it is, nil for any other.
func asUnreadable(err error) *UnreadableEventError {
	var unreadable *UnreadableEventError
	errors.As(err, &unreadable)
	return unreadable
}

// mayBeUnreadable says whether an error may be due to a stored value rather than to the query: a text longer than there can be (54000, or an
// internal error where memory for it is asked for), or damage.
func mayBeUnreadable(err error) bool {
	var cause *pgconn.PgError
	return errors.As(err, &cause) && (cause.Code == "54000" || strings.HasPrefix(cause.Code, "XX") || strings.HasPrefix(cause.Code, "22"))
}

// unreadableInLog looks for the first event of a page of the log that cannot be read, after reading it failed. It returns the error that it
// was given if there is none, or if it cannot look, as in a transaction that the error has ended.
func (r *Repository) unreadableInLog(
	ctx context.Context, h Handle, page pageWanted, n *numberer, err error,
) (*UnreadableEventError, error) {
	if !mayBeUnreadable(err) {
		return nil, err
	}
	var given db.LogListHeavyParams
	n.filter.fill(&given, n.filter.partitionIDs())
	rows, failed := r.queries.LogFirstUnreadable(ctx, h, db.LogFirstUnreadableParams{
		After: page.after, Until: page.until, PageSize: int32(page.size), Backwards: n.backwards,
		PartitionIds: given.PartitionIds, Category: given.Category, Types: given.Types, TenantID: given.TenantID,
	})
	if failed != nil || len(rows) == 0 {
		return nil, err
	}
	return unreadableFrom(db.EventFirstUnreadableRow(rows[0]), err), nil
}

// unreadableInStream is unreadableInLog for a page of a stream.
func (r *Repository) unreadableInStream(
	ctx context.Context, h Handle, id StreamID, from int64, size int, backwards bool, err error,
) (*UnreadableEventError, error) {
	if !mayBeUnreadable(err) {
		return nil, err
	}
	rows, failed := r.queries.EventFirstUnreadable(ctx, h, db.EventFirstUnreadableParams{
		StreamID: string(id), FromVersion: from, PageSize: int64(size), Backwards: backwards,
	})
	if failed != nil || len(rows) == 0 {
		return nil, err
	}
	return unreadableFrom(rows[0], err), nil
}

// nameUnreadable puts the event of a stream in place of the error that reading all of it ended with.
func (r *Repository) nameUnreadable(ctx context.Context, h Handle, id StreamID, err error) error {
	if unreadable, _ := r.unreadableInStream(ctx, h, id, 1, math.MaxInt, false, err); unreadable != nil {
		return unreadable
	}
	return err
}

// nameUnreadableAt puts the event at a position in place of the error that reading it ended with.
func (r *Repository) nameUnreadableAt(ctx context.Context, position int64, err error) error {
	if unreadable, _ := r.unreadableInLog(ctx, r.handle, onePosition(position), &numberer{}, err); unreadable != nil {
		return unreadable
	}
	return err
}

func unreadableFrom(row db.EventFirstUnreadableRow, err error) *UnreadableEventError {
	return &UnreadableEventError{
		Event: Event{
			ID: row.EventID, StreamID: StreamID(row.StreamID), Version: row.Version, Position: row.Position, Type: EventType(row.Type),
			TenantID: TenantID(row.TenantID), PartitionID: int(row.PartitionID),
			OccurredAt: row.OccurredAt.UTC(), RecordedAt: row.RecordedAt.UTC(),
		},
		Problem: row.Fault,
		Err:     err,
	}
}
