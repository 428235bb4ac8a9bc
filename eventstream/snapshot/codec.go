package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Codec turns a state into bytes and back. Decode(Encode(state)) must be a state that Evolve cannot tell from the first:
// Check tries it out.
type Codec[S any] interface {
	// Encode returns the bytes of a state. It must not keep or change the state.
	Encode(state S) ([]byte, error)
	// Decode returns the state of bytes that Encode made, or an error; then the snapshot is ignored and made anew. It may keep the bytes.
	Decode(data []byte) (S, error)
}

// JSON returns the codec of encoding/json. It refuses a field that the state does not have, so that a field that was renamed without a new
// schema version is noticed. Fields that are not exported are lost: a state that has some needs a codec of its own.
func JSON[S any]() Codec[S] { return jsonCodec[S]{} }

type jsonCodec[S any] struct{}

func (jsonCodec[S]) Encode(state S) ([]byte, error) { return json.Marshal(state) }

func (jsonCodec[S]) Decode(data []byte) (state S, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&state); err != nil {
		return state, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return state, errors.New("there is something after the JSON of the state")
	}
	return state, nil
}
