package shred

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

// encryptedFields are what the metadata of an event list; nil if it has no encrypted fields, which is seen without parsing them.
func encryptedFields(e eventstream.Event) ([]string, error) {
	if !bytes.Contains(e.Metadata, []byte(MetadataKey)) {
		return nil, nil
	}
	var metadata struct {
		Fields json.RawMessage `json:"encrypted_fields"`
	}
	if err := json.Unmarshal(e.Metadata, &metadata); err != nil {
		return nil, &FieldError{Event: e, Field: MetadataKey, Err: ErrTampered}
	}
	if metadata.Fields == nil {
		return nil, nil
	}
	var fields []string
	if err := json.Unmarshal(metadata.Fields, &fields); err != nil || len(fields) == 0 {
		return nil, &FieldError{Event: e, Field: MetadataKey, Err: ErrTampered}
	}
	return fields, nil
}

// withFields lists fields in metadata that have no such list.
func withFields(metadata json.RawMessage, fields []string) (json.RawMessage, error) {
	list, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if len(bytes.TrimSpace(metadata)) > 0 {
		if err := json.Unmarshal(metadata, &members); err != nil {
			return nil, err
		}
	}
	if members == nil {
		members = map[string]json.RawMessage{}
	}
	members[MetadataKey] = list
	return json.Marshal(members)
}

// opening is an event whose fields are decrypted.
type opening struct {
	event  eventstream.Event
	fields tree
	found  map[string]encrypted
	keys   map[uuid.UUID]subjectKey
}

// find looks up every field that is listed. One that is not there, or not in this form, was changed.
func (o *opening) find(listed []string) error {
	for _, pointer := range listed {
		parts, ok := splitPointer(pointer)
		if !ok {
			return o.failed(pointer, uuid.Nil, ErrTampered)
		}
		o.fields.add(parts, tree{leaf: true})
	}
	if o.event.Payload == nil {
		return o.failed(listed[0], uuid.Nil, ErrTampered)
	}
	_, err := o.fields.replace("", o.event.Payload, func(pointer string, _ *tree, value json.RawMessage) (json.RawMessage, error) {
		e, err := parse(value)
		if err != nil {
			return nil, o.failed(pointer, uuid.Nil, err)
		}
		o.found[pointer] = e
		return value, nil
	}, func(pointer string, _ *tree) error { return o.failed(pointer, uuid.Nil, ErrTampered) })
	return err
}

func (o *opening) keyIDs() (ids []uuid.UUID) {
	for _, e := range o.found {
		if !slices.Contains(ids, e.keyID) {
			ids = append(ids, e.keyID)
		}
	}
	return ids
}

// decrypt puts the fields in the clear, and takes away those that were forgotten.
func (o *opening) decrypt() (eventstream.Event, Forgotten, error) {
	var forgotten Forgotten
	payload, err := o.fields.replace("", o.event.Payload, func(pointer string, _ *tree, _ json.RawMessage) (json.RawMessage, error) {
		e := o.found[pointer]
		key, found := o.keys[e.keyID]
		switch {
		case !found:
			return nil, o.failed(pointer, e.keyID, ErrKeyLost)
		case key.aead == nil:
			forgotten = append(forgotten, pointer)
			return nil, nil
		}
		value, err := e.decrypt(key.aead, place{stream: o.event.StreamID, event: o.event.ID, field: pointer})
		if err != nil {
			return nil, o.failed(pointer, e.keyID, err)
		}
		return value, nil
	}, func(pointer string, _ *tree) error { return o.failed(pointer, uuid.Nil, ErrTampered) })
	if err != nil {
		return o.event, nil, err
	}
	opened := o.event
	opened.Payload = payload
	slices.Sort(forgotten)
	return opened, forgotten, nil
}

func (o *opening) failed(pointer string, keyID uuid.UUID, err error) error {
	return &FieldError{Event: o.event, Field: pointer, KeyID: keyID, Err: err}
}
