package shred

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

var (
	// ErrForgotten says that something was to be encrypted for a subject that was forgotten. See ForgottenError.
	ErrForgotten = errors.New("the subject was forgotten")
	// ErrTampered says that an encrypted field is not what was written. See FieldError.
	ErrTampered = errors.New("it is not what was written there: changed, moved, or of another event")
	// ErrKeyLost says that a key is not in the key store, and was not forgotten either. See FieldError.
	ErrKeyLost = errors.New("its key is not in the key store, and was not forgotten either: " +
		"this is another key store, or one that was restored from before the key was made")
	// ErrWrongMasterKey says that a key cannot be unwrapped. See FieldError.
	ErrWrongMasterKey = errors.New("the key of the subject cannot be unwrapped: the Wrapper does not have the master key that it was wrapped with")
)

// ForgottenError says that a subject was forgotten, so that nothing can be encrypted for it. Config.AllowNewKey lets it have a new key.
type ForgottenError struct {
	// Subject is the subject.
	Subject string
	// ForgottenAt is when it was forgotten.
	ForgottenAt time.Time
}

// Error names the subject and says when it was forgotten.
func (e *ForgottenError) Error() string {
	return fmt.Sprintf("subject %q was forgotten at %s: write nothing about it any more, or set Config.AllowNewKey if it is back",
		e.Subject, e.ForgottenAt.UTC().Format(time.RFC3339))
}

// Is matches ErrForgotten.
func (e *ForgottenError) Is(target error) bool { return target == ErrForgotten }

// FieldError says that an encrypted field of an event cannot be read. A field whose subject was forgotten is no error.
type FieldError struct {
	// Event is the event, as it is stored.
	Event eventstream.Event
	// Field is the field, as a JSON pointer into the payload.
	Field string
	// KeyID is the key that it names; nil if it is not known.
	KeyID uuid.UUID
	// Err is why: ErrTampered, ErrKeyLost, ErrWrongMasterKey, or an error of the key store.
	Err error
}

// Error names the event, the field, the key and the reason.
func (e *FieldError) Error() string {
	return fmt.Sprintf("cannot read field %s of event %s (%s, version %d of stream %q, key %s): %v",
		e.Field, e.Event.ID, e.Event.Type, e.Event.Version, string(e.Event.StreamID), e.KeyID, e.Err)
}

// Unwrap gives the reason.
func (e *FieldError) Unwrap() error { return e.Err }
