// Package ndjson is the format of export and import: an event a line, as a JSON object. docs/command.md has its schema.
package ndjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// line is an event as it stands on a line, in the order of its fields.
type line struct {
	EventID     uuid.UUID             `json:"event_id"`
	StreamID    eventstream.StreamID  `json:"stream_id"`
	Version     int64                 `json:"version"`
	Type        eventstream.EventType `json:"type"`
	Payload     json.RawMessage       `json:"payload,omitzero"`
	Data        []byte                `json:"data,omitzero"`
	Metadata    json.RawMessage       `json:"metadata,omitzero"`
	Erased      bool                  `json:"erased,omitzero"`
	TenantID    eventstream.TenantID  `json:"tenant_id"`
	PartitionID *int                  `json:"partition_id,omitzero"`
	OccurredAt  time.Time             `json:"occurred_at"`
	ignored
}

// erasedMetadata is what a line with erased stands for, and leaves out.
const erasedMetadata = `{"$erased": true}`

// ignored is what the store that takes an event gives it anew: lines of gapless log and gapless read have it too.
type ignored struct {
	Position          int64      `json:"position,omitzero"`
	Sequence          int64      `json:"sequence,omitzero"`
	PartitionSequence int64      `json:"partition_sequence,omitzero"`
	RecordedAt        *time.Time `json:"recorded_at,omitzero"`
}

// Format says what a writer tells beside what the event itself is.
type Format struct {
	// Partitions is how many the store has. A partition is told where the stream was placed by hand.
	Partitions int
	// Recorded tells position and time of recording too, which an import ignores. Default: false.
	Recorded bool
}

// Writer writes events.
type Writer struct {
	enc    *json.Encoder
	format Format
}

// NewWriter returns a writer of events.
func NewWriter(w io.Writer, format Format) *Writer {
	enc := json.NewEncoder(w)
	// Lines are for programs and people, never put into a page as they are.
	enc.SetEscapeHTML(false)
	return &Writer{enc: enc, format: format}
}

// Write writes an event on a line.
func (w *Writer) Write(e eventstream.Event) error {
	out := line{
		EventID: e.ID, StreamID: e.StreamID, Version: e.Version, Type: e.Type, Payload: e.Payload, Data: e.Data,
		TenantID: e.TenantID, OccurredAt: e.OccurredAt,
	}
	if out.Erased = e.Erased; !e.Erased && !bytes.Equal(e.Metadata, []byte("{}")) {
		out.Metadata = e.Metadata
	}
	key, err := eventstream.PartitionOf(e.StreamID, w.format.Partitions)
	if err != nil {
		return err
	}
	if key.ID != e.PartitionID {
		out.PartitionID = &e.PartitionID
	}
	if w.format.Recorded {
		out.Position, out.RecordedAt = e.Position, &e.RecordedAt
	}
	return w.enc.Encode(out)
}

// errMore says that a line holds more than one value.
var errMore = errors.New("more follows the JSON object: one event a line")

// parse reads an event from a line.
func parse(text []byte, partitions int) (eventstream.Event, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	// A name that is misspelt would lose what it holds.
	dec.DisallowUnknownFields()
	var in line
	if err := dec.Decode(&in); err != nil {
		return eventstream.Event{}, Explain(err)
	}
	if dec.InputOffset() < int64(len(bytes.TrimRight(text, " \t\r\n"))) {
		return eventstream.Event{}, errMore
	}
	e := eventstream.Event{
		ID: in.EventID, StreamID: in.StreamID, Version: in.Version, Type: in.Type, Payload: in.Payload, Data: in.Data,
		Metadata: in.Metadata, TenantID: in.TenantID, OccurredAt: in.OccurredAt.UTC(),
	}
	if e.Erased = in.Erased; e.Erased && e.Metadata == nil {
		e.Metadata = json.RawMessage(erasedMetadata)
	}
	if err := check(&e); err != nil {
		return e, err
	}
	if in.PartitionID != nil {
		e.PartitionID = *in.PartitionID
		return e, nil
	}
	key, err := eventstream.PartitionOf(e.StreamID, partitions)
	e.PartitionID = key.ID
	return e, err
}

// check refuses what is no event of a stream, and what would change when it is stored.
func check(e *eventstream.Event) error {
	if err := e.StreamID.Validate(); err != nil {
		return err
	}
	if e.Version < 1 {
		return fmt.Errorf("version %d of stream %q: must be 1 or more", e.Version, e.StreamID)
	}
	if e.OccurredAt.Nanosecond()%1000 != 0 {
		return fmt.Errorf("occurred_at %s: has more than the microseconds that are kept", e.OccurredAt.Format(time.RFC3339Nano))
	}
	return e.Validate()
}

// Explain puts what encoding/json says in terms of a line.
func Explain(err error) error {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the JSON object ends too early")
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s is a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("a JSON %s, and no event", kind.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
