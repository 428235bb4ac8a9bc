package eventstream

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxNameBytes = 128
	nameRule     = "1 to 128 bytes of UTF-8, without control characters, and without white space at either end"
)

// StreamID names a stream: 1 to 128 bytes of valid UTF-8, without control characters (C0, DEL, C1), and without
// white space at either end. By convention it is a category, a dash and an identity: "order-42".
//
// The database holds the same rule (eventstream.is_name). A StreamID made by conversion is not checked until
// it is used; NewStreamID checks at once.
type StreamID string

// NewStreamID returns s as a StreamID, or an *InvalidValueError that names the rule it breaks.
func NewStreamID(s string) (StreamID, error) {
	id := StreamID(s)
	if err := id.Validate(); err != nil {
		return "", err
	}
	return id, nil
}

// Validate returns an *InvalidValueError if the id breaks the rule of StreamID, else nil.
func (id StreamID) Validate() error {
	if !validName(string(id)) {
		return invalidValue("stream_id", string(id), nameRule)
	}
	return nil
}

// validName is the rule of stream ids and event types. White space inside is allowed, since names that people gave carry it; at the ends
// nobody sees it, and two streams would look like one.
func validName(s string) bool {
	if s == "" || len(s) > maxNameBytes || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !unicode.IsSpace(first) && !unicode.IsSpace(last)
}

// String returns the id as it is.
func (id StreamID) String() string { return string(id) }

// Category returns the part before the first dash, which by convention says what kind of thing the stream is about. Without
// a dash it is the whole id.
func (id StreamID) Category() string {
	category, _, _ := strings.Cut(string(id), "-")
	return category
}

// validateCategory refuses what is not the category of any stream id; "" stands for all.
func validateCategory(field, category string) error {
	id := StreamID(category)
	if category == "" || id.Category() == category && (id.Validate() == nil || (id+"-").Validate() == nil) {
		return nil
	}
	return invalidValue(field, category, "the part of a stream id before its first -")
}

// UnmarshalText takes text as the id after the checks of NewStreamID. On error the id keeps its value.
func (id *StreamID) UnmarshalText(text []byte) error {
	parsed, err := NewStreamID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// UnmarshalJSON takes a JSON string as the id after the checks of NewStreamID. On error the id keeps its value.
func (id *StreamID) UnmarshalJSON(data []byte) error {
	return unmarshalName("stream_id", data, id.UnmarshalText)
}

// unmarshalName reads a name from a JSON string. It exists beside UnmarshalText because encoding/json turns invalid UTF-8 and lone
// surrogates into U+FFFD without a word: the result would be a valid name, but another one.
func unmarshalName(field string, data []byte, take func([]byte) error) error {
	if len(data) == 0 || data[0] != '"' {
		return invalidValue(field, string(data), "a JSON string")
	}
	if err := checkJSON(field, data); err != nil {
		return err
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	return take([]byte(s))
}

const (
	maxTenantIDBytes = 64
	tenantIDRule     = "1 to 64 of the characters A-Z a-z 0-9 _ -"
)

// DefaultTenant owns the streams whose first event names no tenant.
const DefaultTenant TenantID = "default"

// TenantID names the owner of a stream and of every event in it: 1 to 64 of the characters A-Z a-z 0-9 _ -, so that it can
// stand in a URL, a file name and a role name as it is.
//
// The database holds the same rule (eventstream.is_tenant_id). The empty TenantID is not valid; where a field
// allows it, it means "that of the stream".
type TenantID string

// NewTenantID returns s as a TenantID, or an *InvalidValueError that names the rule it breaks.
func NewTenantID(s string) (TenantID, error) {
	id := TenantID(s)
	if err := id.Validate(); err != nil {
		return "", err
	}
	return id, nil
}

// Validate returns an *InvalidValueError if the id breaks the rule of TenantID, else nil.
func (id TenantID) Validate() error {
	if id == "" || len(id) > maxTenantIDBytes {
		return invalidValue("tenant_id", string(id), tenantIDRule)
	}
	for i := range len(id) {
		if c := id[i]; !isASCIILetterOrDigit(c) && c != '_' && c != '-' {
			return invalidValue("tenant_id", string(id), tenantIDRule)
		}
	}
	return nil
}

// String returns the id as it is.
func (id TenantID) String() string { return string(id) }

// UnmarshalText takes text as the id after the checks of NewTenantID. On error the id keeps its value.
func (id *TenantID) UnmarshalText(text []byte) error {
	parsed, err := NewTenantID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

func isASCIILetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isASCIILetterOrDigit(c byte) bool {
	return isASCIILetter(c) || '0' <= c && c <= '9'
}

// EventType says what kind of thing happened: 1 to 128 bytes of valid UTF-8, without control characters, and without white space at
// either end. By convention it is lower-case words with dots, "order.placed"; teams that migrate keep the names they have.
//
// The database holds the same rule (eventstream.is_name).
type EventType string

// NewEventType returns s as an EventType, or an *InvalidValueError that names the rule it breaks.
func NewEventType(s string) (EventType, error) {
	t := EventType(s)
	if err := t.Validate(); err != nil {
		return "", err
	}
	return t, nil
}

// Validate returns an *InvalidValueError if the type breaks the rule of EventType, else nil.
func (t EventType) Validate() error {
	if !validName(string(t)) {
		return invalidValue("event_type", string(t), nameRule)
	}
	return nil
}

// String returns the type as it is.
func (t EventType) String() string { return string(t) }

// UnmarshalText takes text as the type after the checks of NewEventType. On error the type keeps its value.
func (t *EventType) UnmarshalText(text []byte) error {
	parsed, err := NewEventType(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// UnmarshalJSON takes a JSON string as the type after the checks of NewEventType. On error the type keeps its value.
func (t *EventType) UnmarshalJSON(data []byte) error {
	return unmarshalName("event_type", data, t.UnmarshalText)
}
