package eventstream

import (
	"fmt"

	"github.com/google/uuid"
)

// BatchError says that an AppendMany was refused and nothing of it appended. Its parts are reached with errors.Is and
// errors.As as well.
type BatchError struct {
	// Requests is how many requests the call had.
	Requests int
	// Refused says what is wrong, for each request that was refused; those not listed could have been appended.
	Refused []RequestError
}

// RequestError is the refusal of one request of an AppendMany.
type RequestError struct {
	// Index is the request's place in the call, from 0.
	Index int
	// StreamID is the request's stream.
	StreamID StreamID
	// Err is what Append would have returned for it.
	Err error
}

// Error names the first refused request and how many there are.
func (e *BatchError) Error() string {
	if len(e.Refused) == 0 {
		return fmt.Sprintf("none of %d requests refused", e.Requests)
	}
	first := e.Refused[0]
	return fmt.Sprintf("%d of %d requests refused, nothing appended: request %d: %v",
		len(e.Refused), e.Requests, first.Index, first.Err)
}

// Unwrap gives the errors of the refused requests.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, len(e.Refused))
	for i, refused := range e.Refused {
		errs[i] = refused.Err
	}
	return errs
}

// AppendCanceledError says that the context of an Append, Save or AppendMany ended before its result was known.
type AppendCanceledError struct {
	// StreamID is the stream of the append; of an AppendMany, that of its first request.
	StreamID StreamID
	// Sent says that the append may have gone to the database, and may have been applied: the same Append again, with the same
	// events, tells. If it is false, nothing was written.
	Sent bool
	// Err is what ended the wait; the context's error is reached through it.
	Err error
}

// Error names the stream, and says whether the append was sent.
func (e *AppendCanceledError) Error() string {
	if e.Sent {
		return fmt.Sprintf("append to stream %s: %v; it may have been applied: append the same events again to know", quote(string(e.StreamID)), e.Err)
	}
	return fmt.Sprintf("append to stream %s: %v before it was sent; nothing was written", quote(string(e.StreamID)), e.Err)
}

// Unwrap gives what ended the wait.
func (e *AppendCanceledError) Unwrap() error { return e.Err }

// IngestConflictError says that an ingest brings another event for a version than the one that exists. The store keeps
// what it has.
type IngestConflictError struct {
	// StreamID and Version are what both events claim.
	StreamID StreamID
	Version  int64
	// EventID is the event that was refused; OtherEventID the one that exists. Equal ids mean other content.
	EventID, OtherEventID uuid.UUID
	// Place is where the other event is: "events", "pending_events" or "this call".
	Place string
}

// Error names the stream, the version and both events.
func (e *IngestConflictError) Error() string {
	return fmt.Sprintf("version %d of stream %s is event %s in %s, and event %s here: find out which source is right",
		e.Version, quote(string(e.StreamID)), e.OtherEventID, e.Place, e.EventID)
}

// Is matches ErrVersionConflict.
func (e *IngestConflictError) Is(target error) bool { return target == ErrVersionConflict }

// EventNotFoundError says that there is no event of this id.
type EventNotFoundError struct {
	// EventID is the id that was looked for.
	EventID uuid.UUID
}

// Error names the id.
func (e *EventNotFoundError) Error() string {
	return fmt.Sprintf("event %s not found: check its id; an event that waits behind a hole is not seen either", e.EventID)
}

// Is matches ErrEventNotFound.
func (e *EventNotFoundError) Is(target error) bool { return target == ErrEventNotFound }

// StoreMismatchError says that the database is another store than the caller's values were made for.
type StoreMismatchError struct {
	// Subject is what differs, as "partition count".
	Subject string
	// Expected is the caller's value, Actual the store's.
	Expected, Actual int64
}

// Error names what differs and both values.
func (e *StoreMismatchError) Error() string {
	return fmt.Sprintf("store mismatch: %s is %d in the database, and %d here: check the connection string, or use the store's",
		e.Subject, e.Actual, e.Expected)
}

// Is matches ErrStoreMismatch.
func (e *StoreMismatchError) Is(target error) bool { return target == ErrStoreMismatch }

// NotMigratedError says that the schema eventstream is missing, or older than this code.
type NotMigratedError struct {
	// Missing is the database's word for what it did not find.
	Missing string
}

// Error says what is missing and which command installs it.
func (e *NotMigratedError) Error() string {
	return fmt.Sprintf("the database lacks what this version of Gapless needs (%s): call migrations.Up, or run "+
		"goose -dir migrations -table eventstream.goose_db_version postgres \"$DSN\" up", e.Missing)
}

// Is matches ErrNotMigrated.
func (e *NotMigratedError) Is(target error) bool { return target == ErrNotMigrated }

// ImportError says which event of the source an Import could not take. Nothing of the event's chunk is written.
type ImportError struct {
	// Index is the event's place in the source, from 0.
	Index int64
	// StreamID, Version and EventID are what the source says of the event; each may be missing.
	StreamID StreamID
	Version  int64
	EventID  uuid.UUID
	// Err is what is wrong: an *InvalidValueError, *GapError, *IngestConflictError, *EventIDConflictError or
	// *TenantMismatchError.
	Err error
}

// Error names the event by all that the source says of it, and what is wrong.
func (e *ImportError) Error() string {
	return fmt.Sprintf("event %d of the source (version %d of stream %s, id %s) cannot be imported: %v",
		e.Index, e.Version, quote(string(e.StreamID)), e.EventID, e.Err)
}

// Unwrap returns what is wrong with the event.
func (e *ImportError) Unwrap() error { return e.Err }

// DecisionConflictError says that AppendIf appended nothing, since an event that matches the query came after the position.
type DecisionConflictError struct {
	// Position is the one that was decided on.
	Position int64
	// Found is the position of the first matching event after it.
	Found int64
}

// Error names both positions.
func (e *DecisionConflictError) Error() string {
	return fmt.Sprintf("decided at position %d, but the event at position %d matches the query: read the query again and decide anew",
		e.Position, e.Found)
}

// Is matches ErrDecisionConflict.
func (e *DecisionConflictError) Is(target error) bool { return target == ErrDecisionConflict }
