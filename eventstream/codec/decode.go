package codec

import (
	"fmt"
	"iter"

	"github.com/gaplesspg/gapless/eventstream"
)

// maxSteps bounds the upcasters that one event goes through, so that a Split that makes what it was made of is an error.
const maxSteps = 10_000

// Raw is an event that the registry does not know, with KeepUnknown.
type Raw struct {
	// Event is the event as it is stored.
	Event eventstream.Event
	// SchemaVersion is what its metadata say, as SchemaVersion gives it.
	SchemaVersion int
}

// Erased is an event whose content was taken away, with KeepErased.
type Erased struct {
	// Event is what is left: its type, and where it was in its stream.
	Event eventstream.Event
}

// Decode returns the values of an event, brought up to date: one as a rule, several for one that was split, none for one that was dropped.
// They are in the order that the Split gives them in. It returns an *UnknownEventError for a type or a schema version that the registry does
// not know, unless KeepUnknown, an *ErasedEventError for an event whose content was erased, unless KeepErased, and a *DecodeError for a
// content that cannot be read, or whose upcaster fails. Events of eventstream.ClosedType and ErasedType, which Gapless itself writes, have no value
// unless the registry has their type.
func (r *Registry) Decode(e eventstream.Event) ([]any, error) {
	if e.Erased {
		return r.erased(e)
	}
	t, version := r.names[e.Type], SchemaVersion(e)
	if t == nil || !t.knows(version) {
		return r.unknown(e, t, version)
	}
	if t.ignored {
		return nil, nil
	}
	c, err := r.contentOf(t, e)
	if err != nil {
		return nil, &DecodeError{Event: e, Type: t.name, SchemaVersion: version, Err: err}
	}
	d := decoding{registry: r, event: e}
	if err := d.follow(t, version, c); err != nil {
		return nil, err
	}
	return d.values, nil
}

// DecodeAll returns the values of events, one after the other.
func (r *Registry) DecodeAll(events []eventstream.Event) ([]any, error) {
	values := make([]any, 0, len(events))
	for _, e := range events {
		decoded, err := r.Decode(e)
		if err != nil {
			return nil, err
		}
		values = append(values, decoded...)
	}
	return values, nil
}

// Values goes through the values of events that are read, as by Repository.Read. An error comes as the last pair: that of reading, or of
// Decode.
func (r *Registry) Values(events iter.Seq2[eventstream.Event, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for e, err := range events {
			var values []any
			if err == nil {
				values, err = r.Decode(e)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, value := range values {
				if !yield(value, nil) {
					return
				}
			}
		}
	}
}

// erased comes before all else: the schema version went with the metadata.
func (r *Registry) erased(e eventstream.Event) ([]any, error) {
	if t := r.names[e.Type]; t != nil && t.ignored {
		return nil, nil
	}
	if r.keepErased {
		return []any{Erased{Event: e}}, nil
	}
	return nil, &ErasedEventError{Event: e}
}

// isOfTheStore says that an event is one that Gapless itself writes: the end of a stream, and what tells of an erasure. A registry that does not
// have it has no value for it, which is no mistake.
func isOfTheStore(t eventstream.EventType) bool {
	return t == eventstream.ClosedType || t == eventstream.ErasedType
}

func (r *Registry) unknown(e eventstream.Event, t *eventType, version int) ([]any, error) {
	if r.keepUnknown {
		return []any{Raw{Event: e, SchemaVersion: version}}, nil
	}
	if t == nil && isOfTheStore(e.Type) {
		return nil, nil
	}
	err := &UnknownEventError{Event: e, SchemaVersion: version}
	if t != nil {
		err.Oldest, err.Newest = t.versions()
	}
	return nil, err
}

// decoding is one event on its way through the upcasters.
type decoding struct {
	registry *Registry
	event    eventstream.Event
	steps    int
	values   []any
}

// follow brings a content of a schema version to the current one.
func (d *decoding) follow(t *eventType, version int, c content) error {
	for ; version < t.version; version++ {
		if d.steps++; d.steps > maxSteps {
			return d.failed(t, version, fmt.Errorf("more than %d steps: a Split makes an Old that leads back to it", maxSteps))
		}
		pieces, err := t.steps[version](d.event, c)
		if err != nil {
			return d.failed(t, version, err)
		}
		if len(pieces) != 1 || !pieces[0].next {
			return d.followPieces(t, version, pieces)
		}
		c = content{value: pieces[0].value}
	}
	value, err := t.read(c)
	if err != nil {
		return d.failed(t, version, err)
	}
	d.values = append(d.values, value)
	return nil
}

// followPieces takes what a Split made.
func (d *decoding) followPieces(t *eventType, version int, pieces []piece) error {
	for _, p := range pieces {
		old, isOld := p.value.(Old)
		if !isOld {
			_, value, err := d.registry.typeOf(p.value)
			if err != nil {
				return d.failed(t, version, err)
			}
			d.values = append(d.values, value)
			continue
		}
		next := d.registry.names[eventstream.EventType(old.Type)]
		if next == nil || !next.knows(old.Version) {
			return d.failed(t, version, fmt.Errorf("the Split gives %q at schema version %d, which the registry does not know: register it", old.Type, old.Version))
		}
		if next.ignored {
			continue
		}
		if err := d.follow(next, old.Version, content{value: old.Value}); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoding) failed(t *eventType, version int, err error) error {
	return &DecodeError{Event: d.event, Type: t.name, SchemaVersion: version, Err: err}
}
