package eventstream

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Event is something that happened, once it is in a stream at its version. NewEvent makes one; AppendEvent gives it its
// stream, version, partition and tenant; the database gives it its position and RecordedAt.
//
// An event says what happened in Payload (JSON), in Data (bytes), or in both.
type Event struct {
	// ID identifies the event in the whole store. An append that repeats the ids of an earlier one is taken as its retry.
	ID uuid.UUID `json:"event_id"`
	// StreamID is the stream that the event belongs to; empty until it is appended.
	StreamID StreamID `json:"stream_id,omitzero"`
	// Version numbers the event in its stream, from 1 without a gap; 0 until it is appended.
	Version int64 `json:"version,omitzero"`
	// Position is the event's place in the one log of all streams; 0 until it is saved. Positions have holes.
	Position int64 `json:"position,omitzero"`
	// Type says what kind of thing happened, as order.placed.
	Type EventType `json:"type,omitzero"`
	// Payload says what happened, as JSON; nil for an event with Data alone. The database keeps its meaning, not its bytes:
	// white space and the order of keys may come back different. At most MaxJSONBytes and MaxJSONDepth, as Metadata.
	Payload json.RawMessage `json:"payload,omitzero"`
	// Data says what happened, as bytes, for payloads that are not JSON; nil for an event without. JSON shows it as base64. At
	// most MaxDataBytes.
	Data []byte `json:"data,omitzero"`
	// Metadata describes the event rather than what happened (correlation, causation, trace): a JSON object; nil is {}.
	Metadata json.RawMessage `json:"metadata,omitzero"`
	// TenantID is the owner, the same for every event of a stream; empty means that of the stream, until it is appended.
	TenantID TenantID `json:"tenant_id,omitzero"`
	// PartitionID is the partition of the stream.
	PartitionID int `json:"partition_id"`
	// OccurredAt is when it happened, by the caller's clock, in UTC, to the microsecond.
	OccurredAt time.Time `json:"occurred_at,omitzero"`
	// RecordedAt is when it was written, by the database's clock; zero until it is saved.
	RecordedAt time.Time `json:"recorded_at,omitzero"`
	// Erased says that what the event held was taken away (Repository.Erase): Payload and Data are nil, and Metadata is {"$erased": true}.
	Erased bool `json:"erased,omitzero"`
	// Err says why EventOf could not make the event; nil for every other one. Whatever the event is appended to returns it.
	Err error `json:"-"`
}

// Validate returns an *InvalidValueError if the event cannot be stored, else nil: it needs an id, a type, a payload or data,
// and a time; and what it carries must be in order. Stream, version and position may still be missing. An event that EventOf could not make
// gives its Err.
func (e Event) Validate() error {
	if err := e.validateHeader(); err != nil {
		return err
	}
	if err := e.validateContent(); err != nil {
		return err
	}
	return e.validatePlace()
}

func (e Event) validateHeader() error {
	if e.Err != nil {
		return e.Err
	}
	if e.ID == uuid.Nil {
		return invalidValue("event_id", e.ID.String(), "set: NewEvent gives every event an id")
	}
	if err := e.Type.Validate(); err != nil {
		return err
	}
	if !validTime(e.OccurredAt) {
		return invalidValue("occurred_at", e.OccurredAt.String(), "set to a "+timeRule)
	}
	return nil
}

func (e Event) validateContent() error {
	if e.Erased || isErasedMark(e.Metadata) {
		return e.validateErased()
	}
	if e.Payload == nil && e.Data == nil {
		return invalidValue("payload", "", "given, unless data is: JSON in payload, bytes in data, or both")
	}
	if e.Payload != nil {
		if err := checkContent("payload", e.Payload); err != nil {
			return err
		}
	}
	return errorsFirst(checkData(e.Data), checkMetadata(e.Metadata))
}

// validateSizes judges what is known to be JSON, or absent.
func (e Event) validateSizes() error {
	return errorsFirst(checkLimits("payload", e.Payload), checkData(e.Data), checkMetadata(e.Metadata))
}

func checkMetadata(metadata json.RawMessage) error {
	if metadata == nil {
		return nil
	}
	if err := checkContent("metadata", metadata); err != nil {
		return err
	}
	if !isJSONObject(metadata) {
		return invalidValue("metadata", string(metadata), "a JSON object")
	}
	_, err := tagsOf(metadata)
	return err
}

// validatePlace judges what an append will set: it may be missing, but not wrong.
func (e Event) validatePlace() error {
	switch {
	case e.Version < 0:
		return invalidValue("version", strconv.FormatInt(e.Version, 10), "1 or more")
	case e.Position < 0:
		return invalidValue("position", strconv.FormatInt(e.Position, 10), "1 or more")
	case e.PartitionID < 0 || e.PartitionID >= maxPartitionCount:
		return invalidValue("partition_id", strconv.Itoa(e.PartitionID), "a whole number from 0 to 32767")
	case e.StreamID != "" && e.StreamID.Validate() != nil:
		return e.StreamID.Validate()
	case e.TenantID != "":
		return e.TenantID.Validate()
	}
	return nil
}

const timeRule = "time in the years 1 to 9999, and not 0001-01-01 00:00:00 UTC"

// validTime holds the bounds that Go, JSON and the database share (eventstream.is_time). Go's zero time lies on the lower one, but it is
// what a forgotten time looks like; so is one that is zero once fractions of a microsecond are cut off.
func validTime(t time.Time) bool {
	t = normalTime(t)
	return !t.IsZero() && t.Year() >= 1 && t.Year() <= 9999
}

// normalTime is t as the database gives it back: UTC, to the microsecond, without Go's monotonic reading.
func normalTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Clone returns a copy that shares nothing with e.
func (e Event) Clone() Event {
	e.Payload = bytes.Clone(e.Payload)
	e.Data = bytes.Clone(e.Data)
	e.Metadata = bytes.Clone(e.Metadata)
	return e
}

// UnmarshalJSON reads an event as json.Marshal writes it. It refuses values that cannot be, and JSON in the payload that the
// database cannot hold; a part that is missing stays empty, and Validate reports it. On error the event keeps its value.
func (e *Event) UnmarshalJSON(data []byte) error {
	if err := checkJSON("event", data); err != nil {
		return err
	}
	if !isJSONObject(data) {
		return invalidValue("event", string(data), "a JSON object")
	}
	// A type without methods, or decoding would call this function again.
	type plain Event
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	decoded := Event(p)
	// Other writers say null for no metadata; in a payload, null is a value.
	if string(decoded.Metadata) == "null" {
		decoded.Metadata = nil
	}
	decoded.OccurredAt, decoded.RecordedAt = normalTime(decoded.OccurredAt), normalTime(decoded.RecordedAt)
	if err := errorsFirst(decoded.validateSizes(), decoded.validatePlace()); err != nil {
		return err
	}
	*e = decoded
	return nil
}

// ErasedType is the type of the event that tells subscriptions of an erasure, in the stream $erasures-<tenant>-<partition>: its payload says
// stream_id, from_version, to_version and events. See Repository.Erase.
const ErasedType EventType = "$erased"

// erasedMark is what the database prints as the metadata of an erased event, and erasedMarkShort the same as others may.
const (
	erasedMark      = `{"$erased": true}`
	erasedMarkShort = `{"$erased":true}`
)

// noticeErased sets Erased on an event as the database gives it.
func (e *Event) noticeErased() {
	if string(e.Metadata) == erasedMark && e.Data == nil && string(e.Payload) == "null" {
		e.Erased, e.Payload = true, nil
	}
}

func isErasedMark(metadata json.RawMessage) bool {
	return string(metadata) == erasedMark || string(metadata) == erasedMarkShort
}

// validateErased holds what the gate demands of an event that arrives erased, from a copy of a store where it was.
func (e Event) validateErased() error {
	if !e.Erased || e.Payload != nil || e.Data != nil || !isErasedMark(e.Metadata) {
		return invalidValue("metadata", string(e.Metadata), erasedMark+" in an erased event alone, which has neither payload nor data")
	}
	return nil
}
