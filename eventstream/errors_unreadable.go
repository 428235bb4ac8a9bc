package eventstream

import (
	"errors"
	"fmt"
)

// ErrUnreadableEvent matches an *UnreadableEventError.
var ErrUnreadableEvent = errors.New("event cannot be read: skip or park it, or restore it from a backup")

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
