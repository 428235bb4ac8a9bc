package shred

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
)

type address struct {
	Street string `json:"street"`
	Number int    `json:"number"`
}

type registered struct {
	Customer  string    `json:"customer" shred:"subject"`
	Name      string    `json:"name" shred:"personal"`
	Photo     []byte    `json:"photo" shred:"personal"`
	Address   *address  `json:"address,omitempty" shred:"personal"`
	Plan      string    `json:"plan"`
	Forgotten Forgotten `json:"-"`
}

type passenger struct {
	ID   string `json:"id" shred:"subject"`
	Name string `json:"name" shred:"personal"`
}

type booked struct {
	Payer      string            `json:"payer" shred:"subject:payer"`
	IBAN       string            `json:"iban" shred:"personal:payer"`
	Passengers []passenger       `json:"passengers"`
	Notes      map[string]any    `json:"notes"`
	Labels     map[string]string `json:"labels/~"`
	embedded
	Forgotten Forgotten `json:"-"`
}

type embedded struct {
	Agent string `json:"agent" shred:"subject"`
	Phone string `json:"phone" shred:"personal"`
}

func registryOf(t testing.TB) *codec.Registry {
	t.Helper()
	r, err := codec.New(codec.Event[registered]("customer.registered"), codec.Event[booked]("flight.booked"),
		codec.Event[address]("address.seen"))
	require.NoError(t, err)
	return r
}

func testMaster(t testing.TB, fill byte, older ...[]byte) Wrapper {
	t.Helper()
	w, err := MasterKeys([]byte(strings.Repeat(string(rune(fill)), keyBytes)), older...)
	require.NoError(t, err)
	return w
}

func newCodec(t testing.TB, keys KeyStore, config *Config) *Codec {
	t.Helper()
	vault, err := NewVault(keys, testMaster(t, 'm'), config)
	require.NoError(t, err)
	c, err := NewCodec(vault, registryOf(t))
	require.NoError(t, err)
	return c
}

func forget(t testing.TB, c *Codec, subject string) Record {
	t.Helper()
	r, err := c.vault.Forget(t.Context(), Request{Subject: subject, Reason: "asked to", By: "support"})
	require.NoError(t, err)
	return r
}

var ada = registered{
	Customer: "customer-7", Name: "Ada Lovelace", Photo: []byte{1, 2, 3}, Address: &address{Street: "Dorset Street", Number: 7}, Plan: "gold",
}

// What is personal is not to be read in the event, comes back, and has its zero value after the subject was forgotten; the rest stays.
func TestPersonalFieldsAreForgotten(t *testing.T) {
	t.Parallel()
	c := newCodec(t, MemoryKeys(), nil)
	event, err := c.Encode(t.Context(), "customer-7", ada, eventstream.WithMetadata(map[string]string{"by": "web"}))
	require.NoError(t, err)
	require.NotContains(t, string(event.Payload), "Lovelace")
	require.NotContains(t, string(event.Payload), "Dorset")
	require.NotContains(t, string(event.Payload), "AQID")
	require.Contains(t, string(event.Payload), `"plan":"gold"`)
	require.JSONEq(t, `{"by": "web", "encrypted_fields": ["/address", "/name", "/photo"]}`, string(event.Metadata))
	values, err := c.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, []any{ada}, values)

	forget(t, c, "customer-7")
	values, err = c.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, []any{registered{Customer: "customer-7", Plan: "gold", Forgotten: Forgotten{"/address", "/name", "/photo"}}}, values)
	require.True(t, values[0].(registered).Forgotten.Has("/name"))
	require.False(t, values[0].(registered).Forgotten.Has("/plan"))
	opened, forgotten, err := c.Open(t.Context(), event)
	require.NoError(t, err)
	require.Len(t, forgotten, 3)
	require.JSONEq(t, `{"customer": "customer-7", "plan": "gold"}`, string(opened.Payload))
}

// Several subjects in one event, at any depth, each forgotten for itself.
func TestSeveralSubjectsInOneEvent(t *testing.T) {
	t.Parallel()
	c := newCodec(t, MemoryKeys(), nil)
	value := booked{
		Payer: "customer-1", IBAN: "DE00", embedded: embedded{Agent: "agent-9", Phone: "030"},
		Passengers: []passenger{{ID: "customer-2", Name: "Bob"}, {ID: "customer-3", Name: "Eve"}},
		Notes:      map[string]any{"a/b": passenger{ID: "customer-2", Name: "Bobby"}, "n": 1.0}, Labels: map[string]string{"x": "y"},
	}
	event, err := c.Encode(t.Context(), "flight-1", &value)
	require.NoError(t, err)
	opened, forgotten, err := c.Open(t.Context(), event)
	require.NoError(t, err)
	require.Empty(t, forgotten)
	plain, err := json.Marshal(value)
	require.NoError(t, err)
	require.JSONEq(t, string(plain), string(opened.Payload))
	fields, err := encryptedFields(event)
	require.NoError(t, err)
	require.Equal(t, []string{"/iban", "/notes/a~1b/name", "/passengers/0/name", "/passengers/1/name", "/phone"}, fields)

	forget(t, c, "customer-2")
	_, forgotten, err = c.Open(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, Forgotten{"/notes/a~1b/name", "/passengers/0/name"}, forgotten)
	values, err := c.DecodeAll(t.Context(), []eventstream.Event{event})
	require.NoError(t, err)
	back := values[0].(booked)
	require.Equal(t, []passenger{{ID: "customer-2"}, {ID: "customer-3", Name: "Eve"}}, back.Passengers)
	require.Equal(t, "030", back.Phone)
	require.Equal(t, forgotten, back.Forgotten)
}

// An event without personal fields costs no key and is as the registry makes it.
func TestEventsWithoutPersonalFieldsAreLeftAlone(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys()
	c := newCodec(t, keys, nil)
	event, err := c.Encode(t.Context(), "a", address{Street: "x"})
	require.NoError(t, err)
	require.Empty(t, event.Metadata)
	opened, forgotten, err := c.Open(t.Context(), event)
	require.NoError(t, err)
	require.Nil(t, forgotten)
	require.Equal(t, event, opened)
	page, err := keys.Page(t.Context(), uuid.Nil, 10)
	require.NoError(t, err)
	require.Empty(t, page)
	// What was written before the type had personal fields is read as it is.
	old := eventstream.EventOf("customer.registered", map[string]string{"name": "Ada"})
	values, err := c.Decode(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, []any{registered{Name: "Ada"}}, values)
}

// After a subject was forgotten, nothing is written about it, unless it may have a new key; what was forgotten stays forgotten.
func TestForgottenSubjectsGetANewKeyByChoice(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys()
	c := newCodec(t, keys, nil)
	before, err := c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	record := forget(t, c, "customer-7")
	require.Equal(t, []string{"customer-7", "support", "asked to"}, []string{record.Subject, record.ForgottenBy, record.Reason})
	_, err = c.Encode(t.Context(), "customer-7", ada)
	require.ErrorIs(t, err, ErrForgotten)
	var refused *ForgottenError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "customer-7", refused.Subject)
	// One that never had a key is forgotten as well.
	forget(t, c, "customer-8")
	_, err = c.Encode(t.Context(), "customer-8", registered{Customer: "customer-8"})
	require.ErrorIs(t, err, ErrForgotten)
	require.Equal(t, record.KeyID, forget(t, c, "customer-7").KeyID, "twice")

	back := newCodec(t, keys, &Config{AllowNewKey: true})
	after, err := back.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	values, err := back.DecodeAll(t.Context(), []eventstream.Event{before, after})
	require.NoError(t, err)
	require.Equal(t, "", values[0].(registered).Name)
	require.Equal(t, ada, values[1])
}

// Whatever is changed in what was encrypted is an error, never a zero value.
func TestTamperedFieldsAreErrors(t *testing.T) {
	t.Parallel()
	c := newCodec(t, MemoryKeys(), nil)
	event, err := c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	other, err := c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	var members, others map[string]any
	require.NoError(t, json.Unmarshal(event.Payload, &members))
	require.NoError(t, json.Unmarshal(other.Payload, &others))
	name := members["name"].(string)
	with := func(key string, value any) eventstream.Event {
		changed := map[string]any{}
		for k, v := range members {
			changed[k] = v
		}
		if changed[key] = value; value == nil {
			delete(changed, key)
		}
		e := event
		var err error
		e.Payload, err = json.Marshal(changed)
		require.NoError(t, err)
		return e
	}
	elsewhere, renamed, unlisted := event, event, event
	elsewhere.StreamID = "customer-8"
	renamed.ID = uuid.New()
	unlisted.Metadata = json.RawMessage(`{"encrypted_fields": ["/address", "/name", "/photo", "/plan"]}`)
	for what, tampered := range map[string]eventstream.Event{
		"moved to another stream": elsewhere, "moved to another event": renamed, "a field that is not encrypted": unlisted,
		"of another event": with("name", others["name"]), "of another field": with("name", members["photo"]),
		"null": with("name", json.RawMessage("null")), "in the clear": with("name", "Ada"), "gone": with("name", nil),
		"cut": with("name", name[:len(name)-2]), "an object": with("name", map[string]any{}), "too short": with("name", prefix+"AAAA"),
	} {
		_, err := c.Decode(t.Context(), tampered)
		require.ErrorIs(t, err, ErrTampered, what)
		var field *FieldError
		require.ErrorAs(t, err, &field, what)
	}
	for i := len(prefix) + 22; i < len(name)-1; i++ { // Behind the key's id.
		flipped := []byte(name)
		flipped[i] = map[bool]byte{true: 'B', false: 'A'}[flipped[i] == 'A']
		_, err := c.Decode(t.Context(), with("name", string(flipped)))
		require.ErrorIs(t, err, ErrTampered, "character %d", i)
	}
	// Of another key, one that is not there: lost, and not forgotten.
	flipped := []byte(name)
	flipped[len(prefix)] = map[bool]byte{true: 'B', false: 'A'}[flipped[len(prefix)] == 'A']
	_, err = c.Decode(t.Context(), with("name", string(flipped)))
	require.ErrorIs(t, err, ErrKeyLost)
	bad := event
	bad.Metadata = json.RawMessage(`{"encrypted_fields": "name"}`)
	_, err = c.Decode(t.Context(), bad)
	require.ErrorIs(t, err, ErrTampered)
	bad.Metadata = json.RawMessage(`{"encrypted_fields": ["name"]}`)
	_, err = c.Decode(t.Context(), bad)
	require.ErrorIs(t, err, ErrTampered)
	bad = event
	bad.Payload = nil
	_, err = c.Decode(t.Context(), bad)
	require.ErrorIs(t, err, ErrTampered)
}

// A key that is wrapped by a master key that is not there, changed, or another subject's opens nothing.
func TestKeysAreBoundToTheirSubject(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys().(*memoryKeys)
	c := newCodec(t, keys, &Config{CacheTTL: -1})
	event, err := c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	_, err = c.Encode(t.Context(), "customer-8", registered{Customer: "customer-8"})
	require.NoError(t, err)
	stranger, err := NewVault(keys, testMaster(t, 'x'), nil)
	require.NoError(t, err)
	_, err = (&Codec{vault: stranger, registry: c.registry}).Decode(t.Context(), event)
	require.ErrorIs(t, err, ErrWrongMasterKey)
	key, _ := keys.find("customer-7")
	other, _ := keys.find("customer-8")
	for _, wrapped := range [][]byte{other.Wrapped, nil, {1}, append([]byte{2}, key.Wrapped[1:]...), key.Wrapped[:len(key.Wrapped)-1]} {
		keys.keys[key.ID] = StoredKey{ID: key.ID, Subject: key.Subject, Wrapped: wrapped}
		_, err = c.Decode(t.Context(), event)
		require.ErrorIs(t, err, ErrWrongMasterKey)
	}
}

// A new master key opens what the old one wrapped, and the old one can go once all is wrapped anew.
func TestRewrapChangesTheMasterKey(t *testing.T) {
	t.Parallel()
	keys := MemoryKeys()
	c := newCodec(t, keys, nil)
	var events []eventstream.Event
	for i := range 2*page + 1 {
		event, err := c.Encode(t.Context(), "a", registered{Customer: "customer-" + uuid.NewString(), Name: "Ada", Plan: string(rune('a' + i%26))})
		require.NoError(t, err)
		events = append(events, event)
	}
	vault, err := NewVault(keys, testMaster(t, 'n', []byte(strings.Repeat("m", keyBytes))), nil)
	require.NoError(t, err)
	count, err := vault.Rewrap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2*page+1, count)
	count, err = vault.Rewrap(t.Context())
	require.NoError(t, err)
	require.Zero(t, count, "once")
	without, err := NewVault(keys, testMaster(t, 'n'), nil)
	require.NoError(t, err)
	values, err := (&Codec{vault: without, registry: c.registry}).DecodeAll(t.Context(), events)
	require.NoError(t, err)
	require.Len(t, values, len(events))
	require.Equal(t, "Ada", values[0].(registered).Name)
}

// What BeforeForget refuses is not forgotten, and records that it kept forget again.
func TestRecordsOutliveTheKeyStore(t *testing.T) {
	t.Parallel()
	var kept []Record
	broken := errors.New("the disk is full")
	fails := true
	keys := MemoryKeys().(*memoryKeys)
	c := newCodec(t, keys, &Config{BeforeForget: func(_ context.Context, r Record) error {
		if fails {
			return broken
		}
		kept = append(kept, r)
		return nil
	}})
	event, err := c.Encode(t.Context(), "customer-7", ada)
	require.NoError(t, err)
	backup, _ := keys.find("customer-7")
	_, err = c.vault.Forget(t.Context(), Request{Subject: "customer-7", Reason: "asked to"})
	require.ErrorIs(t, err, broken)
	values, err := c.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, []any{ada}, values)
	fails = false
	forget(t, c, "customer-7")

	restored := MemoryKeys().(*memoryKeys)
	restored.keys[backup.ID] = backup
	r := newCodec(t, restored, nil)
	values, err = r.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, []any{ada}, values, "a backup brings the subject back")
	text, err := json.Marshal(kept)
	require.NoError(t, err)
	var records []Record
	require.NoError(t, json.Unmarshal(text, &records))
	for _, want := range []int64{1, 0} {
		deleted, err := r.vault.ReplayForgotten(t.Context(), records)
		require.NoError(t, err)
		require.Equal(t, want, deleted)
	}
	values, err = r.Decode(t.Context(), event)
	require.NoError(t, err)
	require.Empty(t, values[0].(registered).Name)
	_, err = r.Encode(t.Context(), "customer-7", ada)
	require.ErrorIs(t, err, ErrForgotten)
	for record, err := range r.vault.Forgotten(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, records[0], record)
	}
}

// Keys are cached for a time, so many of them, those used last; one that is forgotten while it is looked up is not put in.
func TestKeysAreCachedForATime(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	c := newCache(2, time.Minute)
	c.now = func() time.Time { return now }
	aead, err := newAEAD(make([]byte, keyBytes))
	require.NoError(t, err)
	key := func(n byte) subjectKey {
		return subjectKey{id: uuid.UUID{n}, subject: string(rune('a' + n)), aead: aead}
	}
	has := func(n byte) bool {
		_, byID := c.get(uuid.UUID{n})
		_, bySubject := c.ofSubject(string(rune('a' + n)))
		require.Equal(t, byID, bySubject)
		return byID
	}
	c.put(key(1), c.at())
	c.put(key(2), c.at())
	require.True(t, has(1))
	c.put(key(3), c.at())
	require.Equal(t, []bool{true, false, true}, []bool{has(1), has(2), has(3)}, "the one used last stays")
	now = now.Add(time.Minute - 1)
	require.True(t, has(1))
	now = now.Add(1)
	require.False(t, has(1))
	epoch := c.at()
	c.forget(uuid.UUID{3})
	c.put(key(3), epoch)
	require.False(t, has(3), "it was looked up before it was forgotten")
	c.put(key(3), c.at())
	require.True(t, has(3))
	c.clear()
	require.False(t, has(3))
	require.Zero(t, c.order.Len())
	c.ttl = -1
	c.put(key(3), c.at())
	require.False(t, has(3))
}
