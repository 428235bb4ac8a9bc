package shred

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// under gives the n-th event of a command an id.
func under(n int) uuid.UUID { return uuid.NewSHA1(uuid.UUID{1}, []byte{byte(n)}) }

// encodedUnder is what EncodeUnder makes of values, and the nonce of each of their fields.
func encodedUnder(t testing.TB, c *Codec, values ...any) (events []eventstream.Event, nonces map[string]string) {
	t.Helper()
	events, err := c.EncodeUnder(t.Context(), "customer-7", under, values...)
	require.NoError(t, err)
	nonces = map[string]string{}
	for n, e := range events {
		require.Equal(t, under(n), e.ID)
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(e.Payload, &members))
		for _, name := range []string{"name", "photo", "address"} {
			parsed, err := parse(members[name])
			require.NoError(t, err)
			nonces[string(rune('0'+n))+name] = string(parsed.nonce)
		}
	}
	return events, nonces
}

// The same value under the same id is the same event, whoever encodes it; another value, field or id has another nonce, so that none serves two.
func TestSameValueUnderTheSameIDIsTheSameEvent(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys()
	first, nonces := encodedUnder(t, newCodec(t, keys, nil), ada, ada)
	again, _ := encodedUnder(t, newCodec(t, keys, nil), ada, ada)
	for n := range first {
		require.Equal(t, string(first[n].Payload), string(again[n].Payload))
		require.Equal(t, string(first[n].Metadata), string(again[n].Metadata))
	}
	seen := map[string]bool{}
	for _, nonce := range nonces {
		require.False(t, seen[nonce], "of another field, or of the same one of another event")
		seen[nonce] = true
	}
	renamed := ada
	renamed.Name = "Ada King"
	events, others := encodedUnder(t, newCodec(t, keys, nil), renamed)
	require.NotEqual(t, nonces["0name"], others["0name"])
	require.Equal(t, nonces["0photo"], others["0photo"], "the same bytes")
	values, err := newCodec(t, keys, nil).DecodeAll(t.Context(), append(events, first...))
	require.NoError(t, err)
	require.Equal(t, []any{renamed, ada, ada}, values)
}

// A subject that was forgotten between a try and its repetition: nothing is encoded for it. With a new key it is another event.
func TestRepetitionAfterTheSubjectWasForgotten(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys()
	c := newCodec(t, keys, nil)
	first, nonces := encodedUnder(t, c, ada)
	forget(t, c, "customer-7")
	_, err := c.EncodeUnder(t.Context(), "customer-7", under, ada)
	require.ErrorIs(t, err, ErrForgotten)
	second, others := encodedUnder(t, newCodec(t, keys, &Config{AllowNewKey: true}), ada)
	require.NotEqual(t, string(first[0].Payload), string(second[0].Payload))
	require.NotEqual(t, nonces["0name"], others["0name"])
}

// The bytes of a nonce are fixed: a repetition by a later release is the same event. Computed by another program.
func TestGoldenNonce(t *testing.T) {
	t.Parallel()
	nonces, err := nonceKey(make([]byte, keyBytes))
	require.NoError(t, err)
	p := place{stream: "kunde-ä", event: uuid.MustParse("00000000-0000-7000-8000-00000000000b"), field: "/name"}
	require.Equal(t, "6b6a40cf4f61bd72318e58b5", hex.EncodeToString(subjectKey{nonces: nonces}.nonce(p, json.RawMessage(`"Ada"`))))
}

// A registry that a codec was made of reads on, and writes nothing personal in the clear, wherever in a value it is.
func TestRegistryOfACodecWritesNothingPersonal(t *testing.T) {
	t.Parallel()
	r := registryOf(t)
	written, err := r.Encode(ada)
	require.NoError(t, err, "no codec yet")
	vault, err := NewVault(MemoryKeys(), testMaster(t, 'm'), nil)
	require.NoError(t, err)
	c, err := NewCodec(vault, r)
	require.NoError(t, err)
	for name, value := range map[string]any{
		"a field": ada, "by a pointer": &ada,
		"behind an interface":      booked{Notes: map[string]any{"x": passenger{ID: "customer-2", Name: "Bob"}}, embedded: embedded{Agent: "agent-1"}, Payer: "p"},
		"whose subject is missing": registered{Name: "Ada"},
	} {
		for _, do := range []func() error{
			func() error { _, err := r.Encode(value); return err },
			func() error { _, err := r.EncodeAll(address{}, value); return err },
			func() error { return r.Event(value).Err },
			func() error { _, err := r.Append(t.Context(), nil, "customer-7", eventstream.Any, value); return err },
		} {
			err := do()
			require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
			require.NotContains(t, err.Error(), "Lovelace", name)
		}
	}
	_, err = r.Encode(ada)
	require.ErrorContains(t, err, "encode with the shred.Codec that was made of this registry")
	_, err = r.Encode(address{Street: "x"})
	require.NoError(t, err, "nothing personal")
	values, err := r.Decode(written)
	require.NoError(t, err)
	require.Equal(t, []any{ada}, values)
	_, err = c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
}
