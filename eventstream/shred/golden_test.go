package shred

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// golden is an event that another program wrote, by what this package's documentation says of every byte.
type golden struct {
	MasterKey  []byte          `json:"master_key"`
	KeyID      uuid.UUID       `json:"key_id"`
	Subject    string          `json:"subject"`
	WrappedKey []byte          `json:"wrapped_key"`
	StreamID   string          `json:"stream_id"`
	EventID    uuid.UUID       `json:"event_id"`
	Type       string          `json:"type"`
	Payload    json.RawMessage `json:"payload"`
	Metadata   json.RawMessage `json:"metadata"`
}

// What is stored once is read for ever: the form of a value and that of a wrapped key are fixed.
func TestGoldenEventIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	var g golden
	require.NoError(t, json.Unmarshal(text, &g))
	keys := MemoryKeys()
	_, err = keys.Create(t.Context(), StoredKey{ID: g.KeyID, Subject: g.Subject, Wrapped: g.WrappedKey}, false)
	require.NoError(t, err)
	master, err := MasterKeys(g.MasterKey)
	require.NoError(t, err)
	vault, err := NewVault(keys, master, nil)
	require.NoError(t, err)
	c, err := NewCodec(vault, registryOf(t))
	require.NoError(t, err)
	event := eventstream.Event{
		StreamID: eventstream.StreamID(g.StreamID), ID: g.EventID, Type: eventstream.EventType(g.Type), Payload: g.Payload, Metadata: g.Metadata,
	}
	values, err := c.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, []any{ada}, values)

	// And the same values are written in the same bytes, but for the nonce, which readers take as it is.
	var stored map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(g.Payload, &stored))
	key, err := vault.forWriting(t.Context(), g.Subject)
	require.NoError(t, err)
	again := encrypt(key.aead, key.id, bytes.Repeat([]byte{2}, nonceBytes),
		place{stream: event.StreamID, event: event.ID, field: "/name"}, json.RawMessage(`"Ada Lovelace"`))
	require.Equal(t, string(stored["name"]), string(again))
}

// No nonce comes twice: each value of each event has one of its own.
func TestNoncesAreOfEachValue(t *testing.T) {
	t.Parallel()
	c := newCodec(t, MemoryKeys(), nil)
	seen := map[string]bool{}
	for range 100 {
		event, err := c.Encode(t.Context(), "a", ada)
		require.NoError(t, err)
		var members map[string]any
		require.NoError(t, json.Unmarshal(event.Payload, &members))
		for _, name := range []string{"name", "photo", "address"} {
			e, err := parse(json.RawMessage(`"` + members[name].(string) + `"`))
			require.NoError(t, err)
			require.False(t, seen[string(e.nonce)])
			seen[string(e.nonce)] = true
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	c := newCodec(b, MemoryKeys(), nil)
	plain := registryOf(b)
	b.Run("by the registry alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plain.Encode(ada); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("with three fields encrypted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Encode(b.Context(), "a", ada); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	c := newCodec(b, MemoryKeys(), nil)
	event, err := c.Encode(b.Context(), "a", ada)
	require.NoError(b, err)
	plain, err := registryOf(b).Encode(ada)
	require.NoError(b, err)
	b.Run("by the registry alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.registry.Decode(plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("of an event without encrypted fields", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(b.Context(), plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("with three fields decrypted", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Decode(b.Context(), event); err != nil {
				b.Fatal(err)
			}
		}
	})
}
