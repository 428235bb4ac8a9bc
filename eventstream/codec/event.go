package codec

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// eventType is one registered type of events.
type eventType struct {
	name   eventstream.EventType
	former []eventstream.EventType
	value  reflect.Type
	// version is that of what is written; 0 until it is known.
	version int
	// steps lead from a schema version to the next.
	steps   map[int]step
	ignored bool
	// splits says that a step makes values that may be of any type.
	splits bool
	// format is nil for that of the registry.
	format Format
	// read makes the value of the current version.
	read func(content) (any, error)
}

// TypeOption is an argument of Event: Version, Upcast, UpcastEvent, Split, Drop, Formerly or In.
type TypeOption func(*eventType) error

// Event registers T under a name. T is what Decode gives, and what Encode takes; a pointer type, as protobuf's messages are, works as well.
func Event[T any](name string, options ...TypeOption) Option {
	t := &eventType{
		name: eventstream.EventType(name), value: reflect.TypeFor[T](), steps: map[int]step{},
		read: func(c content) (any, error) { return as[T](c, false) },
	}
	return func(r *Registry) error {
		t := *t
		t.steps = map[int]step{}
		for i, option := range options {
			if option == nil {
				return invalid.Value(fmt.Sprintf("option %d of %s", i+1, name), "nil", "Version, Upcast, UpcastEvent, Split, Drop, Formerly or In")
			}
			if err := option(&t); err != nil {
				return err
			}
		}
		if err := t.checkVersions(); err != nil {
			return err
		}
		return r.add(&t)
	}
}

// Version sets the schema version of what is written, from 1. Each older one down to the oldest that can be read needs an Upcast, a Split or a
// Drop. Default: the one after the last of these; 1 without any.
func Version(version int) TypeOption {
	return func(t *eventType) error {
		if version < 1 || version > maxVersion {
			return invalid.Value("Version of "+string(t.name), strconv.Itoa(version), fmt.Sprintf("from 1 to %d", maxVersion))
		}
		t.version = version
		return nil
	}
}

// Formerly lets the type be read under an old name too. What is stored keeps that name; what is written has the new one. The schema versions
// are those of the type, whatever the name.
func Formerly(name string) TypeOption {
	return func(t *eventType) error {
		t.former = append(t.former, eventstream.EventType(name))
		return nil
	}
}

// In sets the format of the type. Default: that of the registry, see WithFormat.
func In(format Format) TypeOption {
	return func(t *eventType) error {
		if format == nil {
			return invalid.Value("In of "+string(t.name), "nil", "a Format")
		}
		t.format = format
		return nil
	}
}

// addStep registers what is done to a schema version.
func (t *eventType) addStep(version int, s step) error {
	if version < 1 || version >= maxVersion {
		return invalid.Value("schema version of "+string(t.name), strconv.Itoa(version), fmt.Sprintf("from 1 to %d", maxVersion-1))
	}
	if t.steps[version] != nil {
		return invalid.Value("schema version of "+string(t.name), strconv.Itoa(version), "upcast once: it has two Upcasts, Splits or Drops")
	}
	t.steps[version] = s
	return nil
}

// checkVersions demands that every schema version from the oldest one on leads to the current one.
func (t *eventType) checkVersions() error {
	oldest, last := t.oldestStep(), 0
	for version := range t.steps {
		last = max(last, version)
	}
	if t.version == 0 {
		t.version = last + 1
	}
	if last >= t.version {
		return invalid.Value("Version of "+string(t.name), strconv.Itoa(t.version), fmt.Sprintf("above %d, which has an upcaster", last))
	}
	for version := oldest; version < t.version && len(t.steps) > 0; version++ {
		if t.steps[version] == nil {
			return invalid.Value("upcasters of "+string(t.name), "none for schema version "+strconv.Itoa(version),
				fmt.Sprintf("there for each from %d to %d: add Upcast, Split or Drop", oldest, t.version-1))
		}
	}
	return nil
}

func (t *eventType) oldestStep() int {
	oldest := t.version
	for version := range t.steps {
		if oldest == 0 || version < oldest {
			oldest = version
		}
	}
	return oldest
}

// versions are the oldest and the newest schema version that can be read.
func (t *eventType) versions() (oldest, newest int) {
	if t.ignored {
		return 0, math.MaxInt32
	}
	return t.oldestStep(), t.version
}

func (t *eventType) knows(version int) bool {
	oldest, newest := t.versions()
	return oldest <= version && version <= newest
}
