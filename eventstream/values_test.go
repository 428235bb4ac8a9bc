package eventstream_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// valueCase is a line of testdata/values.json, which an integration test feeds to the database as well.
type valueCase struct {
	Kind  string `json:"kind"`
	Value string `json:"value"`
	Hex   string `json:"hex"`
	Valid bool   `json:"valid"`
	Why   string `json:"why"`
	// Parts, each so many times, make a value that is too long to be written out.
	Parts []struct {
		Text  string `json:"text"`
		Times int    `json:"times"`
	} `json:"parts"`
}

func (c valueCase) text(t testing.TB) string {
	if len(c.Parts) > 0 {
		var text strings.Builder
		for _, part := range c.Parts {
			text.WriteString(strings.Repeat(part.Text, part.Times))
		}
		return text.String()
	}
	if c.Hex == "" {
		return c.Value
	}
	raw, err := hex.DecodeString(c.Hex)
	require.NoError(t, err)
	return string(raw)
}

func valueCases(t testing.TB) []valueCase {
	raw, err := os.ReadFile("testdata/values.json")
	require.NoError(t, err)
	var cases []valueCase
	require.NoError(t, json.Unmarshal(raw, &cases))
	return cases
}

// judge maps each kind to what Go says of a value of it.
var judge = map[string]func(text string) error{
	"stream_id":  func(s string) error { _, err := eventstream.NewStreamID(s); return err },
	"tenant_id":  func(s string) error { _, err := eventstream.NewTenantID(s); return err },
	"event_type": func(s string) error { _, err := eventstream.NewEventType(s); return err },
	"payload":    func(s string) error { _, err := eventstream.NewEvent("a", json.RawMessage(s)); return err },
	"metadata": func(s string) error {
		_, err := eventstream.NewEvent("a", nil, eventstream.WithMetadata(json.RawMessage(s)))
		return err
	},
	"version": func(s string) error {
		version, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return err
		}
		event := eventstream.Event{StreamID: "s", Version: version}
		_, err = eventstream.ReconstructFrom(version-1, "s", eventstream.PartitionKey{Count: 1},
			version, version, []eventstream.Event{event}, nil, time.Time{}, time.Time{})
		return err
	},
	"partition_id": func(s string) error {
		id, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewPartitionKey(id, eventstream.DefaultPartitionCount)
		return err
	},
	"partition_count": func(s string) error {
		count, err := strconv.Atoi(s)
		if err != nil {
			return err
		}
		_, err = eventstream.PartitionOf("a", count)
		return err
	},
	"event_id": func(s string) error {
		id, err := uuid.Parse(s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewEvent("a", nil, eventstream.WithEventID(id))
		return err
	},
	"occurred_at": func(s string) error {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return err
		}
		_, err = eventstream.NewEvent("a", nil, eventstream.WithOccurredAt(at))
		return err
	},
	"data": func(s string) error {
		_, err := eventstream.NewEvent("a", nil, eventstream.WithData([]byte(s)))
		return err
	},
}

// setValue puts a value into an event that is in order otherwise, as nobody has checked it.
var setValue = map[string]func(e *eventstream.Event, text string){
	"stream_id":  func(e *eventstream.Event, s string) { e.StreamID = eventstream.StreamID(s) },
	"tenant_id":  func(e *eventstream.Event, s string) { e.TenantID = eventstream.TenantID(s) },
	"event_type": func(e *eventstream.Event, s string) { e.Type = eventstream.EventType(s) },
	"payload":    func(e *eventstream.Event, s string) { e.Payload = json.RawMessage(s) },
	"metadata":   func(e *eventstream.Event, s string) { e.Metadata = json.RawMessage(s) },
	"data":       func(e *eventstream.Event, s string) { e.Data = []byte(s) },
	"event_id":   func(e *eventstream.Event, s string) { e.ID, _ = uuid.Parse(s) },
	"occurred_at": func(e *eventstream.Event, s string) {
		e.OccurredAt, _ = time.Parse(time.RFC3339Nano, s)
	},
}

// requireNotDecoded demands that what an event must not hold is not read from JSON either, if it can be written at all.
func requireNotDecoded(t *testing.T, e eventstream.Event) {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		return
	}
	var decoded eventstream.Event
	if err := json.Unmarshal(raw, &decoded); err == nil {
		require.Error(t, decoded.Validate())
	}
}

// Whichever way a value gets into an event, it is judged the same; and what is taken survives JSON.
func TestValuesOfAnEventAreJudgedAsTheTableSays(t *testing.T) {
	t.Parallel()
	for _, c := range valueCases(t) {
		set, ok := setValue[c.Kind]
		if !ok || c.Kind != "data" && c.Kind != "payload" && c.text(t) == "" {
			continue // an event may still be without a stream and a tenant
		}
		if c.Kind == "payload" && len(c.text(t)) > 8<<20 {
			continue // as NewEvent judges it
		}
		t.Run(c.Kind+" "+c.Why, func(t *testing.T) {
			e := newEvent(t, "a")
			set(&e, c.text(t))
			err := e.Validate()
			if !c.Valid {
				require.ErrorIs(t, err, eventstream.ErrInvalidValue)
				if len(c.Parts) > 0 || c.Kind == "event_id" || c.Kind == "occurred_at" {
					requireNotDecoded(t, e)
				}
				return
			}
			require.NoError(t, err)
			if len(c.Parts) > 0 && len(c.text(t)) > 1<<20 {
				return
			}
			stream := eventstream.New("order-1")
			e.StreamID = ""
			_, err = stream.AppendEvent(e)
			require.NoError(t, err)
			raw, err := json.Marshal(stream)
			require.NoError(t, err)
			back := &eventstream.EventStream{}
			require.NoError(t, json.Unmarshal(raw, back))
		})
	}
}

func TestValuesAreJudgedAsTheTableSays(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, c := range valueCases(t) {
		seen[c.Kind]++
		t.Run(c.Kind+" "+c.Why, func(t *testing.T) {
			t.Parallel()
			check, known := judge[c.Kind]
			require.True(t, known, "no judge for kind %q", c.Kind)
			err := check(c.text(t))
			if c.Valid {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
	for kind := range judge {
		require.Positive(t, seen[kind], "no case of kind %q", kind)
	}
}

// The rule of StreamID, said a second time and in other words, so that a slip in one shows.
func TestStreamIDRuleHoldsForAnyString(t *testing.T) {
	t.Parallel()
	alphabet := rapid.OneOf(
		rapid.Rune(), rapid.RuneFrom([]rune{' ', 'a', '-', 0x7f, 0x85, 0xa0, 0x1680, 0x2000, 0x2028, 0x3000, 0x200b, 0}))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringOfN(alphabet, 0, 6, -1),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }),
			rapid.StringOfN(rapid.RuneFrom([]rune("aé€😀")), 30, 130, -1),
		).Draw(t, "s")
		want := len(s) >= 1 && len(s) <= 128 && utf8.ValidString(s) && strings.TrimSpace(s) == s
		for _, r := range s {
			want = want && !unicode.Is(unicode.Cc, r)
		}
		id, err := eventstream.NewStreamID(s)
		require.Equal(t, want, err == nil, "%q: %v", s, err)
		if err == nil {
			require.Equal(t, s, id.String())
		}
	})
}

func TestAnInvalidValueSaysFieldValueAndRule(t *testing.T) {
	t.Parallel()
	_, err := eventstream.NewStreamID(" a\n")
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	var invalid *eventstream.InvalidValueError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "stream_id", invalid.Field)
	require.Equal(t, " a\n", invalid.Value)
	require.EqualError(t, err, `invalid stream_id " a\n": must be `+invalid.Rule)

	_, err = eventstream.NewTenantID(strings.Repeat("a", 1000))
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Value, 64)
	require.True(t, strings.HasSuffix(invalid.Value, "a..."))
}

func TestStreamIDCategory(t *testing.T) {
	t.Parallel()
	for id, want := range map[eventstream.StreamID]string{
		"order-42": "order", "order": "order", "order-eu-42": "order", "-42": "", "order-": "order", "注文-1": "注文",
	} {
		require.Equal(t, want, id.Category(), "%s", id)
	}
}

func TestStreamIDInJSONKeepsEveryCharacterOrIsRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]eventstream.StreamID{
		`"order-1"`: "order-1", `"\u00e9"`: "é", `"\ud83d\ude00"`: "😀", `"a\ufffd"`: "a\ufffd", `"a\\u0000"`: `a\u0000`,
	} {
		var id eventstream.StreamID
		require.NoError(t, json.Unmarshal([]byte(in), &id), in)
		require.Equal(t, want, id)
	}
	for _, in := range []string{`""`, `" a"`, `"a\n"`, `"\u0000"`, `"\ud800"`, `"a\udc00"`, "\"\xff\"", `1`, `null`, `{}`, `["a"]`} {
		id := eventstream.StreamID("kept")
		require.Error(t, json.Unmarshal([]byte(in), &id), in)
		require.Equal(t, eventstream.StreamID("kept"), id, in)
		kind := eventstream.EventType("kept")
		require.Error(t, json.Unmarshal([]byte(in), &kind), in)
		require.Equal(t, eventstream.EventType("kept"), kind, in)
	}
}

func TestValuesFromTextAreCheckedAndKeptOnError(t *testing.T) {
	t.Parallel()
	tenant, kind, key := eventstream.TenantID("kept"), eventstream.EventType("kept"), eventstream.PartitionKey{ID: 1, Count: 2}
	require.ErrorIs(t, tenant.UnmarshalText([]byte("a b")), eventstream.ErrInvalidValue)
	require.ErrorIs(t, kind.UnmarshalText([]byte(" a")), eventstream.ErrInvalidValue)
	require.ErrorIs(t, key.UnmarshalText([]byte("partition-2/2")), eventstream.ErrInvalidValue)
	require.Equal(t, "kept", tenant.String())
	require.Equal(t, "kept", kind.String())
	require.Equal(t, "partition-1/2", key.String())

	require.NoError(t, tenant.UnmarshalText([]byte("acme")))
	require.NoError(t, kind.UnmarshalText([]byte("order.placed")))
	require.NoError(t, key.UnmarshalText([]byte("partition-5/32")))
	require.Equal(t, eventstream.TenantID("acme"), tenant)
	require.Equal(t, eventstream.EventType("order.placed"), kind)
	require.Equal(t, eventstream.PartitionKey{ID: 5, Count: 32}, key)
}

func TestDefaultTenantIsValid(t *testing.T) {
	t.Parallel()
	require.NoError(t, eventstream.DefaultTenant.Validate())
	require.Equal(t, "default", eventstream.DefaultTenant.String())
}

// testID is a fixed event id, for tests that compare whole events.
var testID = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")

func newEvent(t testing.TB, kind string, opts ...eventstream.EventOption) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent(kind, map[string]int{"n": 1}, opts...)
	require.NoError(t, err)
	return e
}
