package eventstream

import "encoding/json"

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
