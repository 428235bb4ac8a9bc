package eventstream

import (
	"fmt"

	"github.com/google/uuid"
)

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
