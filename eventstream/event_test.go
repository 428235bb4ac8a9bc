package eventstream_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

type placed struct {
	Order string            `json:"order"`
	Total float64           `json:"total"`
	Notes map[string]string `json:"notes,omitempty"`
	Raw   json.RawMessage   `json:"raw,omitempty"`
	Self  *placed           `json:"-"`
}

// knot marshals itself, so that encoding/json never sees that it points back at itself.
type knot struct {
	Next  *knot
	Map   map[string]any
	Slice []any
	Text  string
}

func (*knot) MarshalJSON() ([]byte, error) { return []byte(`"\ufffd"`), nil }

func newKnot(text string) *knot {
	k := &knot{Map: map[string]any{}, Slice: make([]any, 1), Text: text}
	k.Next, k.Map["self"], k.Slice[0] = k, k.Map, k.Slice
	return k
}

func TestNewEventLooksIntoAValueThatPointsBackAtItself(t *testing.T) {
	t.Parallel()
	e, err := eventstream.NewEvent("a", newKnot("fine"))
	require.NoError(t, err)
	require.Equal(t, `"\ufffd"`, string(e.Payload))
	_, err = eventstream.NewEvent("a", newKnot("\xff"))
	require.ErrorContains(t, err, "valid UTF-8")
}

func TestNewEventDefaults(t *testing.T) {
	t.Parallel()
	before := time.Now().Add(-time.Millisecond)
	e, err := eventstream.NewEvent("order.placed", placed{Order: "<1>", Total: 2.5})
	require.NoError(t, err)
	require.Equal(t, uuid.Version(7), e.ID.Version())
	require.Equal(t, eventstream.EventType("order.placed"), e.Type)
	require.Equal(t, `{"order":"<1>","total":2.5}`, string(e.Payload))
	require.Nil(t, e.Data)
	require.Nil(t, e.Metadata)
	require.Empty(t, e.TenantID)
	require.Empty(t, e.StreamID)
	require.Zero(t, e.Version)
	require.Zero(t, e.Position)
	require.True(t, e.RecordedAt.IsZero())
	require.Equal(t, time.UTC, e.OccurredAt.Location())
	require.Equal(t, e.OccurredAt, e.OccurredAt.Truncate(time.Microsecond))
	require.WithinRange(t, e.OccurredAt, before, time.Now())
	require.NoError(t, e.Validate())
}

func TestNewEventOptions(t *testing.T) {
	t.Parallel()
	data := []byte{0, 255}
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("east", 3600))
	e, err := eventstream.NewEvent("a", nil,
		eventstream.WithEventID(testID),
		eventstream.WithMetadata(map[string]string{"trace": "1"}),
		eventstream.WithData(data),
		eventstream.WithOccurredAt(at),
		eventstream.WithTenant("acme"))
	require.NoError(t, err)
	data[0] = 9
	want := eventstream.Event{
		ID: testID, Type: "a", Data: []byte{0, 255}, Metadata: json.RawMessage(`{"trace":"1"}`), TenantID: "acme",
		OccurredAt: time.Date(2024, 2, 29, 22, 59, 59, 123456000, time.UTC),
	}
	require.Empty(t, cmp.Diff(want, e))

	e, err = eventstream.NewEvent("a", nil, eventstream.WithData(nil), eventstream.WithTenant(eventstream.DefaultTenant))
	require.NoError(t, err)
	require.Equal(t, []byte{}, e.Data, "no bytes are data too")
	require.Nil(t, e.Payload)
	require.Equal(t, eventstream.DefaultTenant, e.TenantID)

	e, err = eventstream.NewEvent("a", 1, eventstream.WithData([]byte{1}))
	require.NoError(t, err)
	require.Equal(t, "1", string(e.Payload), "both are kept")
}

func TestNewEventPayloads(t *testing.T) {
	t.Parallel()
	raw := json.RawMessage(` {"b":1,  "a":1.0} `)
	for name, c := range map[string]struct {
		payload any
		want    string
	}{
		"nil is null":                          {nil, "null"},
		"a nil pointer is null":                {(*placed)(nil), "null"},
		"nil RawMessage is null":               {json.RawMessage(nil), "null"},
		"RawMessage is kept to the byte":       {raw, string(raw)},
		"bytes are JSON already":               {[]byte(`[1]`), "[1]"},
		"the replacement character is kept":    {"a\ufffd", "\"a\ufffd\""},
		"an escape inside JSON inside a value": {placed{Raw: json.RawMessage(`"\ufffd"`)}, `{"order":"","total":0,"raw":"\ufffd"}`},
		"backslash u0000 is text":              {`\u0000`, `"\\u0000"`},
	} {
		e, err := eventstream.NewEvent("a", c.payload)
		require.NoError(t, err, name)
		require.Equal(t, c.want, string(e.Payload), name)
	}
	e, err := eventstream.NewEvent("a", raw)
	require.NoError(t, err)
	raw[1] = 'x'
	require.Equal(t, byte('{'), e.Payload[1], "the event has its own copy")
}

func TestNewEventRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	cycle := &placed{Order: "\xff"}
	cycle.Self = cycle
	with := func(opts ...eventstream.EventOption) []eventstream.EventOption { return opts }
	for name, c := range map[string]struct {
		kind    string
		payload any
		opts    []eventstream.EventOption
		says    string
	}{
		"type":                      {" a", 1, nil, `invalid event_type " a"`},
		"NaN":                       {"a", placed{Total: math.NaN()}, nil, `invalid payload "NaN": must be finite`},
		"infinity":                  {"a", map[string]any{"x": math.Inf(-1)}, nil, `invalid payload "-Inf"`},
		"channel":                   {"a", make(chan int), nil, "chan int cannot become JSON"},
		"NUL":                       {"a", "a\x00b", nil, "NUL"},
		"invalid UTF-8":             {"a", "a\xff", nil, `invalid payload "a\xff": must be valid UTF-8`},
		"invalid UTF-8 in a field":  {"a", cycle, nil, "valid UTF-8"},
		"invalid UTF-8 in a key":    {"a", map[string]int{"\xff": 1}, nil, "valid UTF-8"},
		"invalid UTF-8 in an any":   {"a", []any{1, map[string]any{"k": []string{"x", "\xc3"}}}, nil, "valid UTF-8"},
		"invalid UTF-8 in raw JSON": {"a", json.RawMessage("\"\xff\""), nil, "valid UTF-8"},
		"empty raw JSON":            {"a", json.RawMessage{}, nil, "valid JSON"},
		"bytes that are not JSON":   {"a", []byte{1, 2}, nil, "belong in an event's Data"},
		"nil id":                    {"a", 1, with(eventstream.WithEventID(uuid.Nil)), "event_id"},
		"metadata array":            {"a", 1, with(eventstream.WithMetadata([]int{})), `invalid metadata "[]": must be a JSON object`},
		"metadata nil":              {"a", 1, with(eventstream.WithMetadata(nil)), "metadata"},
		"metadata NaN":              {"a", 1, with(eventstream.WithMetadata(map[string]float64{"x": math.NaN()})), "metadata"},
		"metadata NUL":              {"a", 1, with(eventstream.WithMetadata(map[string]string{"x": "\x00"})), "metadata"},
		"tenant":                    {"a", 1, with(eventstream.WithTenant("a b")), `invalid tenant_id "a b"`},
		"empty tenant":              {"a", 1, with(eventstream.WithTenant("")), "tenant_id"},
		"no time":                   {"a", 1, with(eventstream.WithOccurredAt(time.Time{})), "occurred_at"},
		"year 0":                    {"a", 1, with(eventstream.WithOccurredAt(time.Date(0, 12, 31, 0, 0, 0, 0, time.UTC))), "occurred_at"},
		"year 10000 in UTC":         {"a", 1, with(eventstream.WithOccurredAt(time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("w", -3600)))), "occurred_at"},
	} {
		e, err := eventstream.NewEvent(c.kind, c.payload, c.opts...)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		require.ErrorContains(t, err, c.says, name)
		require.Zero(t, e, name)
	}
}

func TestEventValidateFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*eventstream.Event){
		"event_id":     func(e *eventstream.Event) { e.ID = uuid.Nil },
		"event_type":   func(e *eventstream.Event) { e.Type = "" },
		"payload":      func(e *eventstream.Event) { e.Payload = nil },
		"metadata":     func(e *eventstream.Event) { e.Metadata = json.RawMessage("[]") },
		"tenant_id":    func(e *eventstream.Event) { e.TenantID = "a b" },
		"stream_id":    func(e *eventstream.Event) { e.StreamID = " a" },
		"occurred_at":  func(e *eventstream.Event) { e.OccurredAt = time.Time{} },
		"version":      func(e *eventstream.Event) { e.Version = -1 },
		"position":     func(e *eventstream.Event) { e.Position = -1 },
		"partition_id": func(e *eventstream.Event) { e.PartitionID = -1 },
	} {
		e := newEvent(t, "a")
		require.NoError(t, e.Validate())
		spoil(&e)
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, e.Validate(), &invalid, field)
		require.Equal(t, field, invalid.Field)
	}
	e := newEvent(t, "a")
	for _, payload := range []string{"", "{", `"\u0000"`, `"\ud800"`, "\"\xff\"", "1e131072"} {
		e.Payload = json.RawMessage(payload)
		require.ErrorIs(t, e.Validate(), eventstream.ErrInvalidValue, "%q", payload)
	}
	e.PartitionID, e.Payload = 32768, json.RawMessage("1")
	require.Error(t, e.Validate())

	e = newEvent(t, "a")
	e.OccurredAt = time.Date(9999, 12, 31, 23, 30, 0, 0, time.FixedZone("west", -3600))
	require.Error(t, e.Validate(), "year 10000 in UTC")
	e.OccurredAt = time.Date(10000, 1, 1, 0, 30, 0, 0, time.FixedZone("east", 3600))
	require.NoError(t, e.Validate(), "year 9999 in UTC")
}

func TestTheErrorShowsTheEndOfALongString(t *testing.T) {
	t.Parallel()
	_, err := eventstream.NewEvent("a", strings.Repeat("x", 5000)+"\x00")
	var invalid *eventstream.InvalidValueError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, strings.Repeat("x", 58)+`\u0000`, invalid.Value)
}

func TestDecodePayloadAndMetadata(t *testing.T) {
	t.Parallel()
	want := placed{Order: "1", Total: 2.5, Notes: map[string]string{"a": "b"}}
	e, err := eventstream.NewEvent("order.placed", want, eventstream.WithMetadata(map[string]int{"n": 1}))
	require.NoError(t, err)
	got, err := eventstream.DecodePayload[placed](e)
	require.NoError(t, err)
	require.Equal(t, want, got)
	metadata, err := eventstream.DecodeMetadata[map[string]int](e)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"n": 1}, metadata)

	none, err := eventstream.DecodeMetadata[map[string]int](newEvent(t, "a"))
	require.NoError(t, err)
	require.Nil(t, none)
}

func TestDecodeErrorsNameTheEvent(t *testing.T) {
	t.Parallel()
	e, err := eventstream.NewEvent("order.placed", "text", eventstream.WithEventID(testID),
		eventstream.WithMetadata(map[string]string{"n": "x"}))
	require.NoError(t, err)
	e.StreamID, e.Version = "order-1", 3
	_, err = eventstream.DecodePayload[[]int](e)
	require.ErrorContains(t, err, "payload of event "+testID.String()+` (order.placed, version 3 of stream "order-1") into []int`)
	var typeError *json.UnmarshalTypeError
	require.ErrorAs(t, err, &typeError)
	_, err = eventstream.DecodeMetadata[map[string]int](e)
	require.ErrorContains(t, err, "metadata of event "+testID.String())

	e.Payload, e.Data = nil, []byte{1}
	_, err = eventstream.DecodePayload[any](e)
	require.ErrorContains(t, err, "into interface {}: the event has no JSON payload: read its Data instead")
}

func TestEventCloneSharesNothing(t *testing.T) {
	t.Parallel()
	e := newEvent(t, "a", eventstream.WithData([]byte{1}), eventstream.WithMetadata(map[string]int{"a": 1}))
	c := e.Clone()
	require.Empty(t, cmp.Diff(e, c))
	c.Payload[0], c.Data[0], c.Metadata[0] = 'x', 'x', 'x'
	require.NoError(t, e.Validate())
	require.Equal(t, []byte{1}, e.Data)

	c = eventstream.Event{Data: []byte{}}.Clone()
	require.NotNil(t, c.Data, "empty data stay data")
	require.Nil(t, c.Payload)
	require.Nil(t, c.Metadata)
}

func TestEventJSONIsTheColumnsOfTheDatabase(t *testing.T) {
	t.Parallel()
	e := eventstream.Event{
		ID: testID, StreamID: "order-1", Version: 2, Position: 9, Type: "order.placed", Payload: json.RawMessage(`null`),
		Data: []byte{1, 2, 255}, Metadata: json.RawMessage(`{"a":1}`), TenantID: "acme", PartitionID: 5,
		OccurredAt: time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC), RecordedAt: time.Date(2024, 1, 2, 3, 4, 6, 0, time.UTC),
	}
	raw, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057","stream_id":"order-1","version":2,"position":9,
		"type":"order.placed","payload":null,"data":"AQL/","metadata":{"a":1},"tenant_id":"acme","partition_id":5,
		"occurred_at":"2024-01-02T03:04:05.000006Z","recorded_at":"2024-01-02T03:04:06Z"}`, string(raw))
	var back eventstream.Event
	require.NoError(t, json.Unmarshal(raw, &back))
	require.Empty(t, cmp.Diff(e, back))

	for _, e := range []eventstream.Event{{}, newEvent(t, "a"), {ID: testID, Data: []byte{}}} {
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		var back eventstream.Event
		require.NoError(t, json.Unmarshal(raw, &back))
		require.Empty(t, cmp.Diff(e, back))
	}
}

func TestEventJSONIsRefusedRatherThanChanged(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"null":                `null`,
		"array":               `[]`,
		"bad stream id":       `{"stream_id":" a"}`,
		"bad type":            `{"type":"1 "}`,
		"bad tenant":          `{"tenant_id":"a b"}`,
		"bad id":              `{"event_id":"x"}`,
		"negative version":    `{"version":-1}`,
		"fractional version":  `{"version":1.5}`,
		"version of 65 bits":  `{"version":18446744073709551616}`,
		"negative partition":  `{"partition_id":-1}`,
		"metadata not object": `{"metadata":[]}`,
		"NUL in the payload":  `{"payload":"\u0000"}`,
		"half a pair":         `{"payload":{"a":"\udc00"}}`,
		"invalid UTF-8":       "{\"payload\":\"\xff\"}",
		"data not base64":     `{"data":"%"}`,
		"a time that is none": `{"occurred_at":"yesterday"}`,
	} {
		e := eventstream.Event{Type: "kept"}
		require.Error(t, json.Unmarshal([]byte(in), &e), name)
		require.Equal(t, eventstream.Event{Type: "kept"}, e, name)
	}
	var e eventstream.Event
	require.NoError(t, json.Unmarshal([]byte(`{"metadata":null,"later":1,"occurred_at":"2024-01-01T01:00:00.1234567+01:00"}`), &e))
	require.Nil(t, e.Metadata)
	require.Equal(t, time.Date(2024, 1, 1, 0, 0, 0, 123456000, time.UTC), e.OccurredAt)
}

// An event in one value: what is wrong with it is the error of whatever it is given to.
func TestEventOf(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	e := eventstream.EventOf("order.placed", map[string]int{"n": 1}, eventstream.WithEventID(id), eventstream.WithTenant("acme"))
	require.NoError(t, e.Err)
	require.NoError(t, e.Validate())
	require.Equal(t, id, e.ID)
	require.JSONEq(t, `{"n": 1}`, string(e.Payload))

	mine := errors.New("mine")
	for name, bad := range map[string]eventstream.Event{
		"payload": eventstream.EventOf("order.placed", make(chan int)),
		"type":    eventstream.EventOf(" order", 1),
		"option":  eventstream.EventOf("order.placed", 1, eventstream.WithTenant("")),
		"own":     eventstream.EventOf("order.placed", 1, func(*eventstream.Event) error { return mine }),
	} {
		require.Error(t, bad.Err, name)
		require.Equal(t, bad.Err, bad.Validate(), name)
		s := eventstream.New("order-1")
		_, err := s.AppendEvent(bad)
		require.ErrorIs(t, err, bad.Err, name)
		require.Zero(t, s.CurrentVersion(), name)
		if name == "own" {
			require.ErrorIs(t, err, mine)
		} else {
			require.ErrorIs(t, err, eventstream.ErrInvalidValue, name)
		}
	}
}
