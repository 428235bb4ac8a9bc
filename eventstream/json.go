package eventstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gaplesspg/gapless/internal/jsontext"
)

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

// What is said here in numbers, for who reads the documentation, is what jsontext judges by.
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
