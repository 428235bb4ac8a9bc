package codec

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/gaplesspg/gapless/eventstream"
)

var (
	// ErrUnknownEvent says that the registry does not know the type or the schema version of an event. See UnknownEventError.
	ErrUnknownEvent = errors.New("unknown event: register its type and an upcaster for its schema version, or use KeepUnknown")
	// ErrErased says that an event was erased. See ErasedEventError.
	ErrErased = errors.New("event was erased: use KeepErased, and say in Evolve what it means for the state")
	// ErrUnregistered says that a Go type is not registered. See UnregisteredError.
	ErrUnregistered = errors.New("Go type is not registered: add an Event of it to New") //nolint:staticcheck // Go is a name.

	errNoFormat = errors.New("the event has bytes alone, and its type no binary format: give Event the option In")
)

// UnknownEventError says that an event is of a type or of a schema version that the registry does not know.
type UnknownEventError struct {
	// Event is the event.
	Event eventstream.Event
	// SchemaVersion is what its metadata say; 0 for what cannot be one.
	SchemaVersion int
	// Oldest and Newest are the schema versions of the type that the registry can read; 0 for an unknown type.
	Oldest, Newest int
}

// Error names the event, its schema version, and those that are known.
func (e *UnknownEventError) Error() string {
	known := "the registry does not have the type: add Event or Ignore"
	if e.Newest > 0 {
		known = fmt.Sprintf("the registry knows %d to %d: add an upcaster, or run the newer program", e.Oldest, e.Newest)
	}
	return fmt.Sprintf("%s has schema version %d: %s; or use KeepUnknown", described(e.Event), e.SchemaVersion, known)
}

// Is matches ErrUnknownEvent.
func (e *UnknownEventError) Is(target error) bool { return target == ErrUnknownEvent }

// ErasedEventError says that there is nothing to decode, since the content of an event was erased.
type ErasedEventError struct {
	// Event is what is left of it.
	Event eventstream.Event
}

// Error names the event.
func (e *ErasedEventError) Error() string {
	return described(e.Event) + " was erased: use KeepErased, and say in Evolve what it means for the state"
}

// Is matches ErrErased.
func (e *ErasedEventError) Is(target error) bool { return target == ErrErased }

// DecodeError says that the content of an event could not be read, or that an upcaster failed.
type DecodeError struct {
	// Event is the event.
	Event eventstream.Event
	// Type and SchemaVersion are where it failed: of the event, or of what upcasters had made of it by then.
	Type          eventstream.EventType
	SchemaVersion int
	// Err is why.
	Err error
}

// Error names the event, and where and why it failed.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("cannot decode %s, at schema version %d of %s: %v", described(e.Event), e.SchemaVersion, e.Type, e.Err)
}

// Unwrap gives the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// EncodeError says that no event could be made of a value.
type EncodeError struct {
	// Type is the name that its Go type is registered under.
	Type eventstream.EventType
	// Value is the value.
	Value any
	// Err is why.
	Err error
}

// Error names the type, the Go type and the reason.
func (e *EncodeError) Error() string {
	return fmt.Sprintf("cannot make an event %s of a %T: %v", e.Type, e.Value, e.Err)
}

// Unwrap gives the reason.
func (e *EncodeError) Unwrap() error { return e.Err }

// UnregisteredError says that a value is of a Go type that is not registered.
type UnregisteredError struct {
	// Value is the value; nil, or a nil pointer, is of no type.
	Value any
}

// Error names the Go type.
func (e *UnregisteredError) Error() string {
	if v := reflect.ValueOf(e.Value); e.Value == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Sprintf("no event can be made of nil (%T): give a value of a registered type", e.Value)
	}
	return fmt.Sprintf("type %T is not registered: add codec.Event[%T](name) to codec.New", e.Value, e.Value)
}

// Is matches ErrUnregistered.
func (e *UnregisteredError) Is(target error) bool { return target == ErrUnregistered }

func described(e eventstream.Event) string {
	return fmt.Sprintf("event %s (%s, version %d of stream %q)", e.ID, e.Type, e.Version, string(e.StreamID))
}
