package codec

import "github.com/gaplesspg/gapless/eventstream"

// Format writes values as bytes and reads them again. A registry writes JSON unless it is given another one, by WithFormat or In. That of
// protobuf is
//
//	type Protobuf struct{}
//
//	func (Protobuf) Binary() bool                           { return true }
//	func (Protobuf) Marshal(v any) ([]byte, error)          { return proto.Marshal(v.(proto.Message)) }
//	func (Protobuf) Unmarshal(data []byte, v any) error     { return proto.Unmarshal(data, v.(proto.Message)) }
//
// with the pointer types that protoc generates: codec.Event[*orderpb.Placed]("order.placed").
//
// An event is read as it was written, so a type may go from JSON to a binary format at any time: what is in Event.Payload is JSON unless the
// format of the type is one of text, and what is in Event.Data is of the type's binary format.
type Format interface {
	// Binary says that what Marshal gives is not JSON: it goes to Event.Data then, and to Event.Payload otherwise. It never changes.
	Binary() bool
	// Marshal writes a value of a registered type.
	Marshal(value any) ([]byte, error)
	// Unmarshal reads into a pointer to a value; where the registered type is a pointer, into such a one, which is not nil. It must not keep data.
	Unmarshal(data []byte, into any) error
}

// formatOf is the format that a type is written in; nil is JSON.
func (r *Registry) formatOf(t *eventType) Format {
	if t.format != nil {
		return t.format
	}
	return r.format
}

// contentOf is what a stored event says: its bytes if the type is of a binary format, its JSON otherwise.
func (r *Registry) contentOf(t *eventType, e eventstream.Event) (content, error) {
	format := r.formatOf(t)
	switch {
	case format != nil && format.Binary() && e.Data != nil:
		return content{stored: e.Data, format: format}, nil
	case e.Payload == nil:
		return content{}, errNoFormat
	case format != nil && !format.Binary():
		return content{stored: e.Payload, format: format}, nil
	}
	return content{stored: e.Payload}, nil
}
