package eventstream_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// An event is erased in all its parts or in none.
func TestAnEventIsErasedAsAWhole(t *testing.T) {
	t.Parallel()
	e, err := eventstream.NewEvent("person.named", map[string]string{"name": "Ada"})
	require.NoError(t, err)
	mark := json.RawMessage(`{"$erased": true}`)
	whole := e
	whole.Payload, whole.Metadata, whole.Erased = nil, mark, true
	require.NoError(t, whole.Validate())
	text, err := json.Marshal(whole)
	require.NoError(t, err)
	require.Contains(t, string(text), `"erased":true`)
	var again eventstream.Event
	require.NoError(t, json.Unmarshal(text, &again))
	require.NoError(t, again.Validate())
	require.True(t, again.Erased)
	for name, change := range map[string]func(*eventstream.Event){
		"payload":       func(e *eventstream.Event) { e.Payload = json.RawMessage(`{}`) },
		"data":          func(e *eventstream.Event) { e.Data = []byte{} },
		"metadata":      func(e *eventstream.Event) { e.Metadata = json.RawMessage(`{"a": 1}`) },
		"none":          func(e *eventstream.Event) { e.Metadata = nil },
		"not marked so": func(e *eventstream.Event) { e.Erased = false },
	} {
		part := whole
		change(&part)
		require.ErrorIs(t, part.Validate(), eventstream.ErrInvalidValue, name)
	}
}

func TestNothingIsAppendedToAClosedStream(t *testing.T) {
	t.Parallel()
	stream := eventstream.New("order-1")
	require.False(t, stream.IsClosed())
	e, err := eventstream.NewEvent(string(eventstream.ClosedType), map[string]string{"reason": "done"})
	require.NoError(t, err)
	_, err = stream.AppendEvent(e)
	require.NoError(t, err)
	require.True(t, stream.IsClosed())
	after, err := eventstream.NewEvent("order.paid", map[string]int{"n": 1})
	require.NoError(t, err)
	_, err = stream.AppendEvent(after)
	var closed *eventstream.StreamClosedError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, int64(1), closed.Version)
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	require.Equal(t, int64(1), stream.CurrentVersion())
}
