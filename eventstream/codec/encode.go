package codec

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/gaplesspg/gapless/eventstream"
)

// Encode makes an event of a value of a registered type, or of a pointer to one: with its name, its content in the format of the type, and its
// schema version. It returns an *UnregisteredError for a value of another type, what eventstream.NewEvent returns, and an *EncodeError for personal
// fields if a shred.Codec was made of the registry: that one encrypts them.
func (r *Registry) Encode(value any, opts ...eventstream.EventOption) (eventstream.Event, error) {
	return r.encode(value, r.guard.Load(), opts)
}

func (r *Registry) encode(value any, check *guard, opts []eventstream.EventOption) (eventstream.Event, error) {
	t, value, err := r.typeOf(value)
	if err != nil {
		return eventstream.Event{}, err
	}
	if check != nil {
		if err := (*check)(value); err != nil {
			return eventstream.Event{}, &EncodeError{Type: t.name, Value: value, Err: err}
		}
	}
	payload, opts, err := r.marshal(t, value, opts)
	if err != nil {
		return eventstream.Event{}, &EncodeError{Type: t.name, Value: value, Err: err}
	}
	event, err := eventstream.NewEvent(string(t.name), payload, opts...)
	if err == nil {
		err = setSchemaVersion(&event, t.version)
	}
	if err != nil {
		return eventstream.Event{}, &EncodeError{Type: t.name, Value: value, Err: err}
	}
	return event, nil
}

// Event is Encode in one value, as eventstream.EventOf is: an error is the Err of the event, and that of the append that it is given to.
func (r *Registry) Event(value any, opts ...eventstream.EventOption) eventstream.Event {
	event, err := r.Encode(value, opts...)
	if err != nil {
		return eventstream.Event{Err: err}
	}
	return event
}

// EncodeAll is Encode for several values. An eventstream.Event among them stays as it is: one that Event made with tags or metadata, say.
func (r *Registry) EncodeAll(values ...any) ([]eventstream.Event, error) {
	events := make([]eventstream.Event, len(values))
	for i, value := range values {
		event, is := value.(eventstream.Event)
		if !is {
			event = r.Event(value)
		}
		if event.Err != nil {
			return nil, event.Err
		}
		events[i] = event
	}
	return events, nil
}

// Appender is what Append writes with: an *eventstream.Repository, or a store for tests.
type Appender interface {
	Append(ctx context.Context, id eventstream.StreamID, expected eventstream.Expected, events ...eventstream.Event) (eventstream.AppendResult, error)
}

// Append encodes values and appends them to a stream, all or nothing. If one cannot be encoded, nothing is sent. Each call makes new events:
// where a lost answer must be tried again, Encode once and append these events.
func (r *Registry) Append(
	ctx context.Context, store Appender, id eventstream.StreamID, expected eventstream.Expected, values ...any,
) (eventstream.AppendResult, error) {
	events, err := r.EncodeAll(values...)
	if err != nil {
		return eventstream.AppendResult{}, err
	}
	return store.Append(ctx, id, expected, events...)
}

// typeOf finds the registered type of a value, and gives the value that is to be written: what a pointer points to, if that is registered.
func (r *Registry) typeOf(value any) (*eventType, any, error) {
	v := reflect.ValueOf(value)
	if value == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, nil, &UnregisteredError{Value: value}
	}
	if t := r.values[v.Type()]; t != nil {
		return t, value, nil
	}
	if v.Kind() == reflect.Pointer {
		if t := r.values[v.Type().Elem()]; t != nil {
			return t, v.Elem().Interface(), nil
		}
	}
	return nil, nil, &UnregisteredError{Value: value}
}

// marshal gives what NewEvent needs to know of a value. JSON is left to it, which says better what is wrong with a value.
func (r *Registry) marshal(t *eventType, value any, opts []eventstream.EventOption) (any, []eventstream.EventOption, error) {
	format := r.formatOf(t)
	if format == nil {
		return value, opts, nil
	}
	content, err := format.Marshal(value)
	if err != nil {
		return nil, nil, err
	}
	if format.Binary() {
		return nil, append(opts[:len(opts):len(opts)], eventstream.WithData(content)), nil
	}
	return json.RawMessage(content), opts, nil
}
