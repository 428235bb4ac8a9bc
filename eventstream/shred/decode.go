package shred

import (
	"context"
	"iter"
	"reflect"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// Open returns an event with its encrypted fields decrypted, and those of forgotten subjects taken away, which it lists. An event without
// encrypted fields comes back as it is. It returns a *FieldError for a field that is not what was written, or whose key is lost.
func (c *Codec) Open(ctx context.Context, e eventstream.Event) (eventstream.Event, Forgotten, error) {
	listed, err := encryptedFields(e)
	if err != nil || listed == nil {
		return e, nil, err
	}
	o := opening{event: e, found: map[string]encrypted{}}
	if err := o.find(listed); err != nil {
		return e, nil, err
	}
	if o.keys, err = c.vault.forReading(ctx, o.keyIDs()); err != nil {
		return e, nil, &FieldError{Event: e, Field: listed[0], KeyID: o.found[listed[0]].keyID, Err: err}
	}
	return o.decrypt()
}

// Decode is Registry.Decode for an event as it is stored. Fields of forgotten subjects are as if they had not been written, and are listed in a
// field of type Forgotten, if the value has one. Upcasters get the fields decrypted.
func (c *Codec) Decode(ctx context.Context, e eventstream.Event) ([]any, error) {
	opened, forgotten, err := c.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	values, err := c.registry.Decode(opened)
	if err != nil || len(forgotten) == 0 {
		return values, err
	}
	for i, value := range values {
		values[i] = told(value, forgotten)
	}
	return values, nil
}

// told tells a value which fields were forgotten, if it has a place for that.
func told(value any, forgotten Forgotten) any {
	v := reflect.ValueOf(value)
	isPointer := v.Kind() == reflect.Pointer && !v.IsNil()
	if isPointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return value
	}
	p := planOf(v.Type())
	if p.told < 0 {
		return value
	}
	if !isPointer {
		settable := reflect.New(v.Type()).Elem()
		settable.Set(v)
		v = settable
	}
	v.Field(p.told).Set(reflect.ValueOf(forgotten))
	if isPointer {
		return value
	}
	return v.Interface()
}

// DecodeAll returns the values of events, one after the other. The keys of all of them are looked up at once.
func (c *Codec) DecodeAll(ctx context.Context, events []eventstream.Event) ([]any, error) {
	if err := c.lookUp(ctx, events); err != nil {
		return nil, err
	}
	values := make([]any, 0, len(events))
	for _, e := range events {
		decoded, err := c.Decode(ctx, e)
		if err != nil {
			return nil, err
		}
		values = append(values, decoded...)
	}
	return values, nil
}

// lookUp has the keys of events cached. What cannot be read is left for Decode to say.
func (c *Codec) lookUp(ctx context.Context, events []eventstream.Event) error {
	ids := map[uuid.UUID]bool{}
	for _, e := range events {
		listed, err := encryptedFields(e)
		if err != nil || listed == nil {
			continue
		}
		o := opening{event: e, found: map[string]encrypted{}}
		if err := o.find(listed); err != nil {
			continue
		}
		for _, id := range o.keyIDs() {
			ids[id] = true
		}
	}
	all := make([]uuid.UUID, 0, len(ids))
	for id := range ids {
		all = append(all, id)
	}
	_, err := c.vault.forReading(ctx, all)
	return err
}

// Values goes through the values of events that are read, as by Repository.Read. An error comes as the last pair: that of reading, or of
// Decode.
func (c *Codec) Values(ctx context.Context, events iter.Seq2[eventstream.Event, error]) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for e, err := range events {
			var values []any
			if err == nil {
				values, err = c.Decode(ctx, e)
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

// Each calls do with each value of an event, in the order of Decode, until it returns an error. It is for handlers, which get events.
func (c *Codec) Each(ctx context.Context, e eventstream.Event, do func(value any) error) error {
	values, err := c.Decode(ctx, e)
	if err != nil {
		return err
	}
	for _, value := range values {
		if err := do(value); err != nil {
			return err
		}
	}
	return nil
}
