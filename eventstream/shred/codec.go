package shred

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

// MetadataKey is where the metadata of an event list its encrypted fields, as JSON pointers into the payload.
const MetadataKey = "encrypted_fields"

// Codec is a codec.Registry that keeps personal fields encrypted. It is safe for use by several goroutines.
type Codec struct {
	vault    *Vault
	registry *codec.Registry
}

// NewCodec returns a codec of the events of a registry, whose Go types say by struct tags which fields are personal, and whose. It returns an
// *eventstream.InvalidValueError for tags that cannot be, and for nil.
func NewCodec(vault *Vault, registry *codec.Registry) (*Codec, error) {
	switch {
	case vault == nil:
		return nil, invalid("vault", "nil", "what NewVault gives")
	case registry == nil:
		return nil, invalid("registry", "nil", "what codec.New gives")
	}
	for _, t := range registry.GoTypes() {
		if _, err := mayHold(t, map[reflect.Type]bool{}); err != nil {
			return nil, err
		}
	}
	return &Codec{vault: vault, registry: registry}, nil
}

// Encode is Registry.Encode for an event of a stream, with the personal fields of the value encrypted. The event can be appended to that stream
// alone: elsewhere the fields could not be read. For a subject that was forgotten it returns a *ForgottenError.
func (c *Codec) Encode(ctx context.Context, id eventstream.StreamID, value any, opts ...eventstream.EventOption) (eventstream.Event, error) {
	if err := id.Validate(); err != nil {
		return eventstream.Event{}, err
	}
	event, err := c.registry.Encode(value, opts...)
	if err != nil {
		return eventstream.Event{}, err
	}
	fields, err := fieldsOf(value)
	if err == nil {
		event.StreamID = id
		err = c.encrypt(ctx, &event, fields)
	}
	if err != nil {
		return eventstream.Event{}, &codec.EncodeError{Type: event.Type, Value: value, Err: err}
	}
	return event, nil
}

// EncodeAll is Encode for several values.
func (c *Codec) EncodeAll(ctx context.Context, id eventstream.StreamID, values ...any) ([]eventstream.Event, error) {
	events := make([]eventstream.Event, len(values))
	for i, value := range values {
		event, err := c.Encode(ctx, id, value)
		if err != nil {
			return nil, err
		}
		events[i] = event
	}
	return events, nil
}

// Append is Registry.Append with personal fields encrypted. Where a lost answer must be tried again, EncodeAll once and append these events:
// another Encode of the same value gives another event.
func (c *Codec) Append(
	ctx context.Context, store codec.Appender, id eventstream.StreamID, expected eventstream.Expected, values ...any,
) (eventstream.AppendResult, error) {
	events, err := c.EncodeAll(ctx, id, values...)
	if err != nil {
		return eventstream.AppendResult{}, err
	}
	return store.Append(ctx, id, expected, events...)
}

// encrypt replaces fields of an event, and lists them in its metadata.
func (c *Codec) encrypt(ctx context.Context, e *eventstream.Event, fields *tree) error {
	if listed, _ := encryptedFields(*e); listed != nil {
		return invalid("metadata "+MetadataKey, "given", "left to package shred")
	}
	switch {
	case fields == nil:
		return nil
	case e.Payload == nil:
		return invalid("format of "+string(e.Type), "binary", "JSON: of bytes no fields can be encrypted")
	}
	var listed []string
	payload, err := fields.replace("", e.Payload, func(pointer string, f *tree, value json.RawMessage) (json.RawMessage, error) {
		key, err := c.vault.forWriting(ctx, f.subject)
		if err != nil {
			return nil, err
		}
		if key.aead == nil {
			return nil, &ForgottenError{Subject: f.subject}
		}
		nonce, err := newNonce()
		if err != nil {
			return nil, err
		}
		listed = append(listed, pointer)
		return encrypt(key.aead, key.id, nonce, place{stream: e.StreamID, event: e.ID, field: pointer}, value), nil
	}, missingUnlessOptional)
	if err != nil || listed == nil {
		return err
	}
	slices.Sort(listed)
	if e.Metadata, err = withFields(e.Metadata, listed); err != nil {
		return err
	}
	e.Payload = payload
	return e.Validate()
}

// missingUnlessOptional refuses a personal field that was not found, since it may stand elsewhere, in the clear.
func missingUnlessOptional(pointer string, f *tree) error {
	if f.optional {
		return nil
	}
	return fmt.Errorf("personal field %s: %w: let encoding/json write the type", pointer, errNoField)
}

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
