package eventstream

import (
	"encoding/json"
	"time"
)

// streamJSON is how a stream looks in JSON: the columns of eventstream.streams, with what a stream in memory has besides.
type streamJSON struct {
	StreamID        StreamID     `json:"stream_id"`
	PartitionKey    PartitionKey `json:"partition_key"`
	TenantID        TenantID     `json:"tenant_id,omitzero"`
	CurrentVersion  int64        `json:"current_version"`
	Watermark       int64        `json:"watermark"`
	BaseVersion     int64        `json:"base_version,omitzero"`
	ExpectedVersion *int64       `json:"expected_version,omitzero"`
	Events          []Event      `json:"events"`
	CreatedAt       time.Time    `json:"created_at"`
	UpdatedAt       time.Time    `json:"updated_at"`
}

// MarshalJSON writes the whole stream: its head, an expectation if there is one, and the events in memory. A stream whose
// id is not valid gives an *InvalidValueError, since nobody could read it back.
//
// The receiver is a value, so that a stream held by value is not written as {}.
func (s EventStream) MarshalJSON() ([]byte, error) {
	if err := s.id.Validate(); err != nil {
		return nil, err
	}
	events := s.events
	if events == nil {
		events = []Event{}
	}
	return json.Marshal(streamJSON{
		StreamID:        s.id,
		PartitionKey:    s.partition,
		TenantID:        s.tenant,
		CurrentVersion:  s.current,
		Watermark:       s.watermark,
		BaseVersion:     s.base,
		ExpectedVersion: s.expected,
		Events:          events,
		CreatedAt:       s.createdAt,
		UpdatedAt:       s.updatedAt,
	})
}

// UnmarshalJSON reads what MarshalJSON writes, and holds it to the rules of Reconstruct: a document that was cut, merged or
// edited into a stream with a hole is refused with a *ReconstructError. On error the stream keeps its value.
func (s *EventStream) UnmarshalJSON(data []byte) error {
	if err := checkJSON("stream", data); err != nil {
		return err
	}
	if !isJSONObject(data) {
		return invalidValue("stream", string(data), "a JSON object")
	}
	var doc streamJSON
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	decoded := EventStream{
		id:        doc.StreamID,
		partition: doc.PartitionKey,
		tenant:    doc.TenantID,
		base:      doc.BaseVersion,
		current:   doc.CurrentVersion,
		watermark: doc.Watermark,
		events:    doc.Events,
		expected:  doc.ExpectedVersion,
		createdAt: doc.CreatedAt.UTC(),
		updatedAt: doc.UpdatedAt.UTC(),
	}
	if err := decoded.check(); err != nil {
		return err
	}
	*s = decoded
	return nil
}
