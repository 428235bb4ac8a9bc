package eventstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/internal/jsontext"
)

// EventOption sets a part of an event that NewEvent makes.
type EventOption func(*Event) error

// WithEventID sets the id, for events that have one already: from another system, or so that a retry repeats it. The nil
// UUID is refused. Default: a new UUID of version 7.
func WithEventID(id uuid.UUID) EventOption {
	return func(e *Event) error {
		e.ID = id
		return nil
	}
}

// WithMetadata sets the metadata: a struct or a map, or JSON in a json.RawMessage or []byte. What is not a JSON object is
// refused. Default: none, which reads as {}.
func WithMetadata(metadata any) EventOption {
	return func(e *Event) error {
		text, err := marshalJSON("metadata", metadata)
		if err != nil {
			return err
		}
		if !isJSONObject(text) {
			return invalidValue("metadata", string(text), "a JSON object")
		}
		// What WithTags gave before stays.
		e.Metadata, err = mergeTags(text, e.Tags())
		return err
	}
}

// WithData sets a payload of bytes that are not JSON; with it the JSON payload may be nil, and is then absent. The bytes
// are copied; nil counts as no bytes rather than as no data. More than MaxDataBytes are refused. Default: none.
func WithData(data []byte) EventOption {
	return func(e *Event) error {
		if err := checkData(data); err != nil {
			return err
		}
		e.Data = append([]byte{}, data...)
		return nil
	}
}

// WithOccurredAt sets when it happened, in the years 1 to 9999. Fractions of a microsecond are cut off, since PostgreSQL
// keeps none. Default: now.
func WithOccurredAt(t time.Time) EventOption {
	return func(e *Event) error {
		e.OccurredAt = normalTime(t)
		return nil
	}
}

// WithTenant sets the owner; one that is not valid is refused. Default: that of the stream it is appended to, or
// DefaultTenant if it is the first event.
func WithTenant[T TenantID | string](tenant T) EventOption {
	return func(e *Event) (err error) {
		e.TenantID, err = NewTenantID(string(tenant))
		return err
	}
}

// NewEvent makes an event of a type with a payload: any value that encoding/json can marshal, or JSON as it is in a
// json.RawMessage or []byte. A nil payload is JSON null, or absent if WithData gives bytes.
//
// It returns an error that matches ErrInvalidValue, most often an *InvalidValueError, for a type, payload or option that
// cannot be stored: NaN and infinities, text that is not UTF-8, the character NUL, which PostgreSQL's jsonb refuses, and more than
// MaxJSONBytes or MaxJSONDepth.
func NewEvent(eventType string, payload any, opts ...EventOption) (Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Event{}, fmt.Errorf("cannot draw an event id: %w", err)
	}
	e := Event{ID: id, Type: EventType(eventType), OccurredAt: normalTime(time.Now())}
	for i, opt := range opts {
		if opt == nil {
			return Event{}, invalidValue("option "+strconv.Itoa(i+1), "nil", "one of those that begin with With")
		}
		if err := opt(&e); err != nil {
			return Event{}, err
		}
	}
	if err := e.setPayload(payload); err != nil {
		return Event{}, err
	}
	// What the options and setPayload made of JSON is in order already, and reading it twice would double the cost.
	if err := e.validateHeader(); err != nil {
		return Event{}, err
	}
	return e, nil
}

// EventOf is NewEvent in one value, for appends of one line:
//
//	repo.Append(ctx, "order-1", eventstream.Any, eventstream.EventOf("order.placed", placed))
//
// What NewEvent would return as its error is the Err of the event, and the error of the append.
func EventOf(eventType string, payload any, opts ...EventOption) Event {
	e, err := NewEvent(eventType, payload, opts...)
	if err != nil {
		return Event{Type: EventType(eventType), Err: err}
	}
	return e
}

func (e *Event) setPayload(payload any) (err error) {
	if payload == nil && e.Data != nil {
		return nil
	}
	e.Payload, err = marshalJSON("payload", payload)
	return err
}

// errNoPayload is the reason for both decoders' refusal of an event without the JSON in question.
var errNoPayload = errors.New("the event has no JSON payload: read its Data instead")

// DecodePayload reads the payload of an event into a T. It returns an error that names the event if it has no JSON payload,
// or if the payload is not that of a T.
func DecodePayload[T any](e Event) (T, error) {
	var v T
	if e.Payload == nil {
		return v, decodeError[T](e, "payload", errNoPayload)
	}
	if err := json.Unmarshal(e.Payload, &v); err != nil {
		var zero T
		return zero, decodeError[T](e, "payload", err)
	}
	return v, nil
}

// DecodeMetadata reads the metadata of an event into a T; without metadata it is T's zero value. It returns an error that
// names the event if the metadata are not those of a T.
func DecodeMetadata[T any](e Event) (T, error) {
	var v T
	if len(bytes.TrimSpace(e.Metadata)) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(e.Metadata, &v); err != nil {
		var zero T
		return zero, decodeError[T](e, "metadata", err)
	}
	return v, nil
}

func decodeError[T any](e Event, part string, err error) error {
	return fmt.Errorf("cannot decode the %s of event %s (%s, version %d of stream %s) into %s: %w",
		part, e.ID, e.Type, e.Version, quote(string(e.StreamID)), reflect.TypeFor[T](), err)
}

// Bounds of what an event holds. The database has the same (eventstream.is_content). Within them everything can be read, dumped and
// restored: PostgreSQL has no text of a gigabyte, and a row of a dump is one.
const (
	// MaxJSONBytes bounds a payload, and metadata, as the text that the database prints, with the exponents of numbers written out: it
	// prints 1e100 as 101 digits.
	MaxJSONBytes = 64_000_000
	// MaxJSONDepth bounds how deep arrays and objects of a payload, and of metadata, are nested.
	MaxJSONDepth = 1000
	// MaxDataBytes bounds Event.Data.
	MaxDataBytes = 128_000_000
)

// The numbers are written out for readers of the documentation; these are those that jsontext judges by.
var _ = [1]struct{}{}[MaxJSONBytes-jsontext.MaxBytes+MaxJSONDepth-jsontext.MaxDepth]

// marshalJSON turns a Go value into JSON that an event can hold; json.RawMessage and []byte are JSON already and are kept to
// the byte. A nil value is JSON null.
func marshalJSON(field string, value any) (json.RawMessage, error) {
	var text []byte
	switch v := value.(type) {
	case json.RawMessage:
		text = bytes.Clone(v)
	case []byte:
		text = bytes.Clone(v)
	default:
		var err error
		if text, err = jsontext.Encode(v); err != nil {
			return nil, encodingFailed(field, value, err)
		}
	}
	if text == nil {
		text = []byte("null")
	}
	if err := checkContent(field, text); err != nil {
		return nil, err
	}
	return text, nil
}

func encodingFailed(field string, value any, err error) error {
	if fault, ok := errors.AsType[*jsontext.Fault](err); ok {
		return invalidValue(field, fault.Value, fault.Rule)
	}
	return fmt.Errorf("%w: %s of type %T cannot become JSON: %w", ErrInvalidValue, field, value, err)
}

// checkJSON returns an *InvalidValueError unless text is JSON that jsonb can hold.
func checkJSON(field string, text []byte) error { return faultOf(field, jsontext.Check(text)) }

// checkLimits judges valid JSON by its size and depth.
func checkLimits(field string, text []byte) error { return faultOf(field, jsontext.CheckLimits(text)) }

// checkContent returns an *InvalidValueError unless text is JSON that may be a payload or metadata.
func checkContent(field string, text []byte) error {
	if err := checkJSON(field, text); err != nil {
		return err
	}
	return checkLimits(field, text)
}

// faultOf names the field that a fault is in.
func faultOf(field string, fault *jsontext.Fault) error {
	if fault == nil {
		return nil
	}
	return invalidValue(field, fault.Value, fault.Rule)
}

func checkData(data []byte) error {
	if len(data) > MaxDataBytes {
		return invalidValue("data", strconv.Itoa(len(data))+" bytes", "at most 128000000 bytes")
	}
	return nil
}

// isJSONObject reports whether text, known to be valid JSON, is an object.
func isJSONObject(text []byte) bool { return jsontext.IsObject(text) }
