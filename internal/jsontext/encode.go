package jsontext

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"unicode/utf8"
)

// Encode turns a Go value into JSON. Its error is a *Fault, or that of encoding/json for a value that cannot become JSON.
func Encode(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	// Payloads are read by people in psql and never put into a page as they are.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, encodeError(err)
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	// encoding/json writes invalid UTF-8 as this escape, and a U+FFFD of the caller's own as itself: seeing the escape is
	// cheap, and only then is the value searched, since the escape may also come from JSON inside the value.
	if bytes.Contains(text, []byte(`\ufffd`)) {
		if s, found := invalidUTF8In(reflect.ValueOf(value), map[visit]bool{}); found {
			return nil, &Fault{s, "valid UTF-8 in every string (bytes that are not text belong in WithData)"}
		}
	}
	return text, nil
}

// encodeError puts what encoding/json says in terms of what the caller can do.
func encodeError(err error) error {
	var unsupported *json.UnsupportedValueError
	if errors.As(err, &unsupported) && unsupported.Value.CanFloat() {
		return &Fault{unsupported.Str, "finite in every number: JSON has no NaN and no infinity"}
	}
	return err
}

// visit names a pointer, map or slice that was looked into. A slice and a pointer to its first element share an address, so
// that it takes the type and the length as well.
type visit struct {
	kind    reflect.Type
	address uintptr
	length  int
}

// invalidUTF8In returns the first string in v that is not valid UTF-8, looking where encoding/json looks: exported fields,
// elements, and keys of maps. What was seen is not looked into again: a value that marshals itself may point back at itself.
func invalidUTF8In(v reflect.Value, seen map[visit]bool) (string, bool) {
	if firstVisit := markVisit(v, seen); !firstVisit {
		return "", false
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), !utf8.ValidString(v.String())
	case reflect.Interface, reflect.Pointer:
		return invalidUTF8In(v.Elem(), seen)
	case reflect.Slice, reflect.Array:
		return invalidUTF8InElements(v, seen)
	case reflect.Map:
		return invalidUTF8InMap(v, seen)
	case reflect.Struct:
		return invalidUTF8InStruct(v, seen)
	default:
		return "", false
	}
}

// markVisit reports whether v is still to be looked into, and remembers it.
func markVisit(v reflect.Value, seen map[visit]bool) bool {
	var key visit
	switch v.Kind() {
	case reflect.Slice:
		key = visit{v.Type(), v.Pointer(), v.Len()}
	case reflect.Pointer, reflect.Map:
		key = visit{v.Type(), v.Pointer(), 0}
	default:
		return true
	}
	first := !seen[key]
	seen[key] = true
	return first
}

func invalidUTF8InElements(v reflect.Value, seen map[visit]bool) (string, bool) {
	// Bytes become base64 or are JSON already.
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return "", false
	}
	for i := range v.Len() {
		if s, found := invalidUTF8In(v.Index(i), seen); found {
			return s, true
		}
	}
	return "", false
}

func invalidUTF8InMap(v reflect.Value, seen map[visit]bool) (string, bool) {
	for iter := v.MapRange(); iter.Next(); {
		if s, found := invalidUTF8In(iter.Key(), seen); found {
			return s, true
		}
		if s, found := invalidUTF8In(iter.Value(), seen); found {
			return s, true
		}
	}
	return "", false
}

func invalidUTF8InStruct(v reflect.Value, seen map[visit]bool) (string, bool) {
	for i := range v.NumField() {
		if field := v.Type().Field(i); !field.IsExported() && !field.Anonymous || field.Tag.Get("json") == "-" {
			continue
		}
		if s, found := invalidUTF8In(v.Field(i), seen); found {
			return s, true
		}
	}
	return "", false
}
