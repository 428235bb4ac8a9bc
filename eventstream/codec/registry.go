package codec

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// Registry knows the events of a program: the Go type of each, its name in the store, and how old ones are read. It is made once, by New, does
// not change, and is safe for use by several goroutines. Several registries, one for each part of a program, may share a store. One that a
// shred.Codec was made of refuses to write personal fields itself.
type Registry struct {
	// names has every type under its name, and under each former one.
	names map[eventstream.EventType]*eventType
	// values has those that can be written, by their Go type.
	values      map[reflect.Type]*eventType
	keepUnknown bool
	keepErased  bool
	format      Format
	// guard is nil, or what package shred has set.
	guard atomic.Pointer[guard]
}

// Option is an argument of New: Event, Ignore, KeepUnknown, KeepErased or WithFormat.
type Option func(*Registry) error

// New returns a registry of events. It returns an *eventstream.InvalidValueError that says what to change for a name or a Go type that is
// registered twice, a name that cannot be one, and schema versions that leave a hole.
func New(options ...Option) (*Registry, error) {
	r := &Registry{names: map[eventstream.EventType]*eventType{}, values: map[reflect.Type]*eventType{}}
	for i, option := range options {
		if option == nil {
			return nil, invalid.Value(fmt.Sprintf("option %d", i+1), "nil", "Event, Ignore, KeepUnknown, KeepErased or WithFormat")
		}
		if err := option(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// KeepErased hands on an event whose content was erased, in an Erased: without it Decode returns an *ErasedEventError, since a state that
// leaves an event out in silence may be wrong.
func KeepErased() Option {
	return func(r *Registry) error {
		r.keepErased = true
		return nil
	}
}

// KeepUnknown hands on what the registry does not know as it is, in a Raw: an event of another type, or of a schema version that is newer or
// older than those that can be read. Default: it is refused, with an *UnknownEventError.
func KeepUnknown() Option {
	return func(r *Registry) error {
		r.keepUnknown = true
		return nil
	}
}

// WithFormat sets the format of all events that do not choose their own by In. Default: JSON, as eventstream.NewEvent writes it.
func WithFormat(format Format) Option {
	return func(r *Registry) error {
		if format == nil {
			return invalid.Value("WithFormat", "nil", "a Format")
		}
		r.format = format
		return nil
	}
}

// Ignore registers a type that means nothing to this program any more: its events, of every schema version, decode to no value at all, and
// none can be written.
func Ignore(name string) Option {
	return func(r *Registry) error {
		return r.add(&eventType{name: eventstream.EventType(name), ignored: true})
	}
}

// Types returns what the registry can read, by name, former names included: the schema versions of each that it knows.
func (r *Registry) Types() []eventstream.KnownType {
	known := make([]eventstream.KnownType, 0, len(r.names))
	for _, name := range slices.Sorted(maps.Keys(r.names)) {
		oldest, newest := r.names[name].versions()
		known = append(known, eventstream.KnownType{Type: name, Oldest: oldest, Newest: newest})
	}
	return known
}

// GoTypes returns the Go types that are registered, in the order of their names in the store.
func (r *Registry) GoTypes() []reflect.Type {
	types := slices.Collect(maps.Keys(r.values))
	slices.SortFunc(types, func(a, b reflect.Type) int {
		return strings.Compare(string(r.values[a].name), string(r.values[b].name))
	})
	return types
}

// Former returns the old names that a registered type may still be read under, see Formerly.
func (r *Registry) Former(name eventstream.EventType) []eventstream.EventType {
	if t := r.names[name]; t != nil && t.name == name {
		return slices.Clone(t.former)
	}
	return nil
}

// add registers a type under all of its names.
func (r *Registry) add(t *eventType) error {
	for _, name := range append([]eventstream.EventType{t.name}, t.former...) {
		if err := name.Validate(); err != nil {
			return err
		}
		if r.names[name] != nil {
			return invalid.Value("event type", string(name), "registered once, under one Go type")
		}
		r.names[name] = t
	}
	if t.ignored {
		return nil
	}
	if other := r.values[t.value]; other != nil {
		return invalid.Value("Go type of "+string(t.name), t.value.String(), "registered once: it is "+string(other.name)+" already")
	}
	r.values[t.value] = t
	return nil
}
