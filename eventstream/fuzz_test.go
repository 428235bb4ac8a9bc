package eventstream_test

import (
	"encoding"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// seed gives a fuzz target every value of a kind in testdata/values.json.
func seed(f *testing.F, kind string) {
	for _, c := range valueCases(f) {
		if c.Kind == kind && len(c.Parts) == 0 {
			f.Add([]byte(c.text(f)))
		}
	}
}

// textRoundTrip demands that a value read from text is valid, and says what it read.
func textRoundTrip[T any, P interface {
	*T
	encoding.TextUnmarshaler
	String() string
	Validate() error
}](t *testing.T, text []byte,
) {
	value := P(new(T))
	if err := value.UnmarshalText(text); err != nil {
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		require.True(t, utf8.ValidString(err.Error()))
		require.Zero(t, *value)
		return
	}
	require.NoError(t, value.Validate())
	require.Equal(t, string(text), value.String())

	raw, err := json.Marshal(value)
	require.NoError(t, err)
	back := P(new(T))
	require.NoError(t, json.Unmarshal(raw, back))
	require.Equal(t, value, back)
}

func FuzzStreamID(f *testing.F) {
	seed(f, "stream_id")
	f.Fuzz(func(t *testing.T, text []byte) { textRoundTrip[eventstream.StreamID](t, text) })
}

func FuzzTenantID(f *testing.F) {
	seed(f, "tenant_id")
	f.Fuzz(func(t *testing.T, text []byte) { textRoundTrip[eventstream.TenantID](t, text) })
}

func FuzzEventType(f *testing.F) {
	seed(f, "event_type")
	f.Fuzz(func(t *testing.T, text []byte) { textRoundTrip[eventstream.EventType](t, text) })
}

func FuzzPartitionKey(f *testing.F) {
	for _, text := range []string{"partition-5/32", "partition-0/1", "partition-32767/32768", "partition-05/32", "partition--1/2", "", "5/32"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { textRoundTrip[eventstream.PartitionKey](t, text) })
}

// A stream id in JSON is either refused or exactly what a careful reader sees in it: never one with replaced characters.
func FuzzStreamIDJSON(f *testing.F) {
	for _, text := range []string{`"a"`, `"\ud800"`, `"\ud83d\ude00"`, "\"\xff\"", `"\ufffd"`, `null`, `1`, `" a"`, `"\\u0000"`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var id eventstream.StreamID
		if json.Unmarshal(data, &id) != nil {
			require.Empty(t, id)
			return
		}
		require.NoError(t, id.Validate())
		var s string
		require.NoError(t, json.Unmarshal(data, &s))
		require.Equal(t, s, id.String())
		require.True(t, utf8.Valid(data))
	})
}

// A payload that is accepted can be marshaled, decoded and validated again.
func FuzzPayload(f *testing.F) {
	seed(f, "payload")
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := eventstream.NewEvent("a", json.RawMessage(payload))
		if err != nil {
			require.ErrorIs(t, err, eventstream.ErrInvalidValue)
			return
		}
		require.NoError(t, e.Validate())
		require.True(t, json.Valid(payload) && utf8.Valid(payload))
		_, err = eventstream.DecodePayload[json.RawMessage](e)
		require.NoError(t, err)
		decoded, err := eventstream.DecodePayload[string](e)
		if err == nil && string(payload) != "null" {
			// Text goes in and comes out unchanged, and PostgreSQL could hold it.
			require.NotContains(t, decoded, "\x00")
			again, err := eventstream.NewEvent("a", decoded)
			require.NoError(t, err)
			back, err := eventstream.DecodePayload[string](again)
			require.NoError(t, err)
			require.Equal(t, decoded, back)
		}
	})
}

func FuzzEventJSON(f *testing.F) {
	for _, e := range append(stored(f, 1, 2), eventstream.Event{}, newEvent(f, "a")) {
		raw, err := json.Marshal(e)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`{"data":"","metadata":null,"payload":null,"occurred_at":"9999-12-31T23:59:59.9999999-01:00"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e eventstream.Event
		if json.Unmarshal(data, &e) != nil {
			require.Equal(t, eventstream.Event{}, e)
			return
		}
		raw, err := json.Marshal(e)
		if err != nil {
			require.Error(t, e.Validate(), "only an event that is not valid cannot be written: %v", err)
			return
		}
		var back eventstream.Event
		require.NoError(t, json.Unmarshal(raw, &back))
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(again))
	})
}

// Whatever document comes in, a stream that comes out has no gap and takes the next version.
func FuzzEventStreamJSON(f *testing.F) {
	for _, s := range []*eventstream.EventStream{eventstream.New("s"), load(f, 0, 3, 2, 1, 2, 3), load(f, 2, 4, 3, 3)} {
		raw, err := json.Marshal(s)
		require.NoError(f, err)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := new(eventstream.EventStream)
		if s.UnmarshalJSON(data) != nil {
			require.Equal(t, new(eventstream.EventStream), s)
			return
		}
		require.True(t, s.IsGapless())
		require.NoError(t, s.StreamID().Validate())
		require.NoError(t, s.PartitionKey().Validate())
		require.LessOrEqual(t, s.Watermark(), s.CurrentVersion())
		require.Equal(t, s.EventCount(), len(s.EventsFrom(1)))
		if raw, err := json.Marshal(s); err == nil {
			require.NoError(t, new(eventstream.EventStream).UnmarshalJSON(raw))
		}
		current, next := s.CurrentVersion(), newEvent(t, "a")
		s.ClearExpectedVersion()
		if version, err := s.AppendEvent(next); err == nil {
			require.Equal(t, current+1, version)
			require.Equal(t, []int64{version}, versionsOf(s.EventsFrom(version)))
		}
	})
}
