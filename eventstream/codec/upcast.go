package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// step turns the content of one schema version into that of the next, or of several events.
type step func(eventstream.Event, content) ([]piece, error)

// content is what an event says: as it is stored, or as a step left it.
type content struct {
	stored []byte
	format Format
	// value is what a step made; stored is nil then.
	value any
}

// piece is what a step makes: the same event one schema version later, or any value.
type piece struct {
	next  bool
	value any
}

// Old is what a Split may give in place of a value that is up to date: a value of an older schema version, which goes through the upcasters of
// its type.
type Old struct {
	// Type is the name of a registered type.
	Type string
	// Version is the schema version of the value, from 1.
	Version int
	// Value is what the upcaster of that version takes.
	Value any
}

// Upcast reads a schema version as a From and makes the next one, a To: it renames a field, merges two into one, adds one. These may be structs
// that keep the past apart from the present, or maps for a small change. Where the next step takes another Go type, the value goes there by
// JSON. Numbers in a map[string]any are json.Number, so that none is rounded.
func Upcast[From, To any](version int, upcast func(From) (To, error)) TypeOption {
	if upcast == nil {
		return UpcastEvent[From, To](version, nil)
	}
	return UpcastEvent(version, func(_ eventstream.Event, old From) (To, error) { return upcast(old) })
}

// UpcastEvent is Upcast for changes that need to know more of the event than what it says: its stream, its tenant, when it occurred.
func UpcastEvent[From, To any](version int, upcast func(eventstream.Event, From) (To, error)) TypeOption {
	return func(t *eventType) error {
		if upcast == nil {
			return invalid.Value("Upcast of "+string(t.name), "nil", "a function")
		}
		return t.addStep(version, func(e eventstream.Event, c content) ([]piece, error) {
			old, err := as[From](c, true)
			if err != nil {
				return nil, err
			}
			value, err := upcast(e, old)
			if err != nil {
				return nil, err
			}
			return []piece{{next: true, value: value}}, nil
		})
	}
}

// Split makes several values, or none, of an event of a schema version, in the order that Decode gives them in. Each is a value of a
// registered type, up to date, or an Old.
func Split[From any](version int, split func(From) ([]any, error)) TypeOption {
	return func(t *eventType) error {
		if split == nil {
			return invalid.Value("Split of "+string(t.name), "nil", "a function")
		}
		t.splits = true
		return t.addStep(version, func(_ eventstream.Event, c content) ([]piece, error) {
			old, err := as[From](c, true)
			if err != nil {
				return nil, err
			}
			values, err := split(old)
			pieces := make([]piece, len(values))
			for i, value := range values {
				pieces[i] = piece{value: value}
			}
			return pieces, err
		})
	}
}

// Drop leaves events of a schema version out: they decode to no value.
func Drop(version int) TypeOption {
	return func(t *eventType) error {
		return t.addStep(version, func(eventstream.Event, content) ([]piece, error) { return nil, nil })
	}
}

// as gives a content as a T. Where old, what has no type of its own keeps its numbers as they are.
func as[T any](c content, old bool) (T, error) {
	if c.stored != nil {
		return unmarshal[T](c.format, c.stored, old)
	}
	if value, ok := c.value.(T); ok {
		return value, nil
	}
	text, err := json.Marshal(c.value)
	if err != nil {
		var zero T
		return zero, fmt.Errorf("cannot bring a %T to the next schema version, which takes a %s: %w", c.value, reflect.TypeFor[T](), err)
	}
	return unmarshal[T](nil, text, old)
}

func unmarshal[T any](format Format, stored []byte, old bool) (value T, err error) {
	target := any(&value)
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer {
		target = reflect.New(t.Elem()).Interface()
		value = target.(T)
	}
	switch {
	case format != nil:
		err = format.Unmarshal(stored, target)
	case old:
		decoder := json.NewDecoder(bytes.NewReader(stored))
		decoder.UseNumber()
		err = decoder.Decode(target)
	default:
		err = json.Unmarshal(stored, target)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return value, nil
}
