// Package appendargs lays out appends as the arguments of one statement: an array for each column. Columns that nothing uses stay nil and
// are not sent.
package appendargs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// jsonNull and noMetadata are what the database takes for a payload and for metadata that are missing. Among others they are sent, and not
// left NULL: as text, NULL in an array is a word, which a session with array_nulls off would not understand.
var jsonNull, noMetadata = json.RawMessage("null"), json.RawMessage("{}")

// Events are events by column.
type Events struct {
	IDs        []string
	Types      []string
	Payloads   []json.RawMessage
	Data       [][]byte
	Metadata   []json.RawMessage
	OccurredAt []time.Time
	size       int
}

// NewEvents has room for so many events.
func NewEvents(size int) Events {
	return Events{
		IDs:        make([]string, 0, size),
		Types:      make([]string, 0, size),
		Payloads:   make([]json.RawMessage, 0, size),
		OccurredAt: make([]time.Time, 0, size),
		size:       size,
	}
}

// Add adds an event. What it has not is nil.
func (c *Events) Add(id uuid.UUID, eventType string, payload json.RawMessage, data []byte, metadata json.RawMessage, occurredAt time.Time) {
	at := len(c.IDs)
	c.IDs = append(c.IDs, id.String())
	c.Types = append(c.Types, eventType)
	if payload == nil {
		payload = jsonNull
	}
	c.Payloads = append(c.Payloads, payload)
	c.OccurredAt = append(c.OccurredAt, occurredAt)
	if data != nil {
		if c.Data == nil {
			c.Data = make([][]byte, c.size)
		}
		c.Data[at] = data
	}
	if metadata != nil {
		if c.Metadata == nil {
			c.Metadata = make([]json.RawMessage, c.size)
			for i := range c.Metadata {
				c.Metadata[i] = noMetadata
			}
		}
		c.Metadata[at] = metadata
	}
}
