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
