package eventstream

import (
	"errors"
	"fmt"
)

// ErrBeyondLog says that the log has not reached a position or sequence number. See BeyondLogError.
var ErrBeyondLog = errors.New("beyond the end of the log")

// fieldEvent is the field of a BeyondLogError about an event that was read.
const fieldEvent = "event"

// BeyondLogError says that the log has not reached a position or sequence number, so that it comes from elsewhere.
type BeyondLogError struct {
	// Field is what is beyond the end: position, sequence, sequence of partition n; or event, for one that was read and that the log does
	// not hold any more.
	Field string
	// Value is what was asked for.
	Value int64
	// Last is where the log ends.
	Last int64
}

// Error says which value, and where the log ends.
func (e *BeyondLogError) Error() string {
	if e.Field == fieldEvent {
		return fmt.Sprintf("the log, which is at %d, does not hold the event that was read at position %d: it went back since, by a failover or a "+
			"restore, or is another; go on behind an event that it holds, or from the beginning", e.Last, e.Value)
	}
	return fmt.Sprintf("%s %d is beyond the end of the log, which is at %d: a value from another database does not fit this one",
		e.Field, e.Value, e.Last)
}

// Is matches ErrBeyondLog.
func (e *BeyondLogError) Is(target error) bool { return target == ErrBeyondLog }
