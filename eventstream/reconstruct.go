package eventstream

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Reconstruct puts a stream together from its parts, as a database or a document keeps them. The events are copied; a nil
// expectedVersion is no expectation.
//
// It returns a *ReconstructError, which says the rule and both values, for parts that do not fit together:
//   - an id, partition or expected version that is not valid (the error then wraps an *InvalidValueError);
//   - a watermark below 0 or above currentVersion;
//   - an event of another stream;
//   - events that do not run 1, 2, 3 ... without a gap, stop before the watermark, or go past currentVersion.
//
// Times are taken as they are: a clock that was set back may have written any order of them. Events of several tenants are accepted, so that
// HasConsistentTenant can report them.
func Reconstruct(
	streamID StreamID,
	partitionKey PartitionKey,
	currentVersion int64,
	watermark int64,
	events []Event,
	expectedVersion *int64,
	createdAt time.Time,
	updatedAt time.Time,
) (*EventStream, error) {
	return ReconstructFrom(0, streamID, partitionKey, currentVersion, watermark, events, expectedVersion, createdAt, updatedAt)
}

// ReconstructFrom is Reconstruct for a stream on top of a snapshot: its events run baseVersion+1, baseVersion+2 ... A base
// below 0 or above the watermark is refused too. Base 0 is Reconstruct.
//
// A stream that has a base and no events does not know its tenant: name it on the event that is appended next.
func ReconstructFrom(
	baseVersion int64,
	streamID StreamID,
	partitionKey PartitionKey,
	currentVersion int64,
	watermark int64,
	events []Event,
	expectedVersion *int64,
	createdAt time.Time,
	updatedAt time.Time,
) (*EventStream, error) {
	s := &EventStream{
		id:        streamID,
		partition: partitionKey,
		base:      baseVersion,
		current:   currentVersion,
		watermark: watermark,
		events:    events,
		expected:  clonePointer(expectedVersion),
		createdAt: createdAt.UTC().Round(0),
		updatedAt: updatedAt.UTC().Round(0),
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	// Copied once they are known to be in order: a caller's mistake costs nothing.
	s.events = cloneEvents(events)
	return s, nil
}

// check holds every rule of Reconstruct against the stream as it stands. Loading and decoding build a stream and then call it.
func (s *EventStream) check() error {
	if err := s.checkValues(); err != nil {
		return err
	}
	if err := s.checkNumbers(); err != nil {
		return err
	}
	return s.checkEvents()
}

func (s *EventStream) checkValues() error {
	if err := s.id.Validate(); err != nil {
		return s.invalid("the stream id must be valid", quote(string(s.id)), nameRule, err)
	}
	if err := s.partition.Validate(); err != nil {
		return s.invalid("the partition must be valid", s.partition.String(), partitionKeyRule, err)
	}
	if s.tenant != "" {
		if err := s.tenant.Validate(); err != nil {
			return s.invalid("the tenant must be valid", quote(string(s.tenant)), tenantIDRule, err)
		}
	}
	if s.expected != nil && *s.expected < 0 {
		got := strconv.FormatInt(*s.expected, 10)
		return s.invalid("expectedVersion must not be negative", "expectedVersion "+got, "0",
			invalidValue("expected version", got, "0 or more"))
	}
	return nil
}

func (s *EventStream) checkNumbers() error {
	switch {
	case s.watermark < 0:
		return s.broken("the watermark must not be negative", number("watermark", s.watermark), "0")
	case s.watermark > s.current:
		return s.broken("the watermark must not be above currentVersion",
			number("watermark", s.watermark), number("currentVersion", s.current))
	case s.base < 0:
		return s.broken("the base version must not be negative", number("base version", s.base), "0")
	case s.base > s.watermark:
		return s.broken("the base version must not be above the watermark",
			number("base version", s.base), number("watermark", s.watermark))
	}
	return nil
}

// checkEvents comes after checkNumbers: with 0 <= base <= current its sums cannot overflow before the count is judged.
func (s *EventStream) checkEvents() error {
	for i := range s.events {
		e, next := &s.events[i], s.base+int64(i)+1
		switch {
		case e.StreamID != s.id:
			return s.broken("every event must be of the stream",
				fmt.Sprintf("event %d of stream %s", i+1, quote(string(e.StreamID))), "stream "+quote(string(s.id)))
		case e.Version != next:
			return s.broken("events must run without a gap from the version after the base",
				fmt.Sprintf("version %d in place %d", e.Version, i+1), number("version", next))
		case int64(i) >= s.current-s.base:
			return s.broken("events must not go past currentVersion",
				number("version", e.Version), number("currentVersion", s.current))
		}
	}
	if last := s.lastVersion(); last < s.watermark {
		return s.broken("events must not stop before the watermark",
			number("last version", last), number("watermark", s.watermark))
	}
	return nil
}

func number(name string, value int64) string { return name + " " + strconv.FormatInt(value, 10) }

func (s *EventStream) broken(rule, got, bound string) error {
	return s.invalid(rule, got, bound, nil)
}

func (s *EventStream) invalid(rule, got, bound string, cause error) error {
	return &ReconstructError{StreamID: s.id, Rule: rule, Got: got, Bound: bound, cause: cause}
}

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
