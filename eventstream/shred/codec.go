package shred

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/internal/boundid"
	"github.com/gaplesspg/gapless/internal/inclear"
	"github.com/gaplesspg/gapless/internal/invalid"
)

// MetadataKey is where the metadata of an event list its encrypted fields, as JSON pointers into the payload.
const MetadataKey = boundid.MetadataKey

// Codec is a codec.Registry that keeps personal fields encrypted. It is safe for use by several goroutines.
type Codec struct {
	vault    *Vault
	registry *codec.Registry
	// clear is the registry as it writes what is to be encrypted.
	clear inclear.Registry
}

// NewCodec returns a codec of the events of a registry, whose Go types say by struct tags which fields are personal, and whose. From then on the
// registry itself refuses to encode a value with personal fields, which it would write in the clear; it reads as before. It returns an
// *eventstream.InvalidValueError for tags that cannot be, and for nil.
func NewCodec(vault *Vault, registry *codec.Registry) (*Codec, error) {
	switch {
	case vault == nil:
		return nil, invalid.Value("vault", "nil", "what NewVault gives")
	case registry == nil:
		return nil, invalid.Value("registry", "nil", "what codec.New gives")
	}
	for _, t := range registry.GoTypes() {
		if _, err := mayHold(t, map[reflect.Type]bool{}); err != nil {
			return nil, err
		}
	}
	clear := inclear.Of(registry)
	clear.Guard(refusePersonal)
	return &Codec{vault: vault, registry: registry, clear: clear}, nil
}

// refusePersonal is what a registry asks of values that are not encoded by a Codec.
func refusePersonal(value any) error {
	fields, err := fieldsOf(value)
	if err != nil || fields == nil {
		return err
	}
	return invalid.Value(fmt.Sprintf("personal fields of %T", value), "in the clear", "encrypted: encode with the shred.Codec that was made of this registry")
}

// Encode is Registry.Encode for an event of a stream, with the personal fields of the value encrypted. The event can be appended to that stream
// alone: elsewhere the fields could not be read. For a subject that was forgotten it returns a *ForgottenError.
func (c *Codec) Encode(ctx context.Context, id eventstream.StreamID, value any, opts ...eventstream.EventOption) (eventstream.Event, error) {
	if err := id.Validate(); err != nil {
		return eventstream.Event{}, err
	}
	event, err := c.clear.Encode(value, opts...)
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

// EncodeUnder is EncodeAll for events whose ids are given: the n-th one, from 0, gets id(n). It is for ids that follow from a command
// (decider.EventID) or a step (process.Step.EventID). The same value under the same id gives the same event each time, for as long as its subjects
// have the same keys, so that a repeated append is known as one. Once a subject was forgotten it is a *ForgottenError; and with a new key
// (Config.AllowNewKey) another event, whose append under that id is refused as eventstream.ErrEventIDConflict.
func (c *Codec) EncodeUnder(ctx context.Context, id eventstream.StreamID, eventID func(n int) uuid.UUID, values ...any) ([]eventstream.Event, error) {
	return c.encodeEach(ctx, id, values, func(n int) []eventstream.EventOption {
		return []eventstream.EventOption{eventstream.WithEventID(eventID(n))}
	})
}

// EncodeAll is Encode for several values.
func (c *Codec) EncodeAll(ctx context.Context, id eventstream.StreamID, values ...any) ([]eventstream.Event, error) {
	return c.encodeEach(ctx, id, values, func(int) []eventstream.EventOption { return nil })
}

func (c *Codec) encodeEach(
	ctx context.Context, id eventstream.StreamID, values []any, options func(n int) []eventstream.EventOption,
) ([]eventstream.Event, error) {
	events := make([]eventstream.Event, len(values))
	for i, value := range values {
		event, err := c.Encode(ctx, id, value, options(i)...)
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
		return invalid.Value("metadata "+MetadataKey, "given", "left to package shred")
	}
	switch {
	case fields == nil:
		return nil
	case e.Payload == nil:
		return invalid.Value("format of "+string(e.Type), "binary", "JSON: of bytes no fields can be encrypted")
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
		listed = append(listed, pointer)
		p := place{stream: e.StreamID, event: e.ID, field: pointer}
		return encrypt(key.aead, key.id, key.nonce(p, value), p, value), nil
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
