package codec_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/codec"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest"
)

// The files are events as three versions of a program left them in the store.
func TestCodecReadsGoldenEventsOfThreeSchemaVersions(t *testing.T) {
	t.Parallel()
	registry := shop(t)
	for name, want := range map[string][]any{
		"customer.v1.json": {customerRegistered{Name: "Ada Lovelace", Country: "GB", Credit: 9007199254740900}},
		"customer.v2.json": {customerRegistered{Name: "Alan Turing", Country: "GB", Credit: 700}},
		"customer.v3.json": {customerRegistered{Name: "Grace Hopper", Country: "US", Credit: 1250}},
		"order.v1.json":    {orderPlaced{By: "ada"}, itemAdded{SKU: "A-1", Quantity: 1}, itemAdded{SKU: "B-2", Quantity: 1}},
	} {
		values, err := registry.Decode(stored(t, name))
		require.NoError(t, err, name)
		require.Equal(t, want, values, name)
	}
}

func TestCodecDropsAndIgnores(t *testing.T) {
	t.Parallel()
	registry := shop(t)
	values, err := registry.DecodeAll([]eventstream.Event{
		anEvent(t, "page.seen", `{"url": "/"}`, 0), anEvent(t, "page.left", `{}`, 7), anEvent(t, "page.seen", `{"path": "/a"}`, 2),
	})
	require.NoError(t, err)
	require.Equal(t, []any{pageSeen{Path: "/a"}}, values)
}

func TestCodecWritesWhatItReads(t *testing.T) {
	t.Parallel()
	registry := shop(t)
	value := customerRegistered{Name: "Ada", Country: "GB", Credit: 5}
	for _, given := range []any{value, &value} {
		e, err := registry.Encode(given, eventstream.WithMetadata(map[string]string{"trace": "t"}))
		require.NoError(t, err)
		require.Equal(t, eventstream.EventType("customer.registered"), e.Type)
		require.JSONEq(t, `{"trace": "t", "schema_version": 3}`, string(e.Metadata))
		require.NoError(t, e.Validate())
		values, err := registry.Decode(e)
		require.NoError(t, err)
		require.Equal(t, []any{value}, values)
	}
}

// Options that are shared by several calls stay as they are.
func TestCodecLeavesTheCallersOptionsAlone(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[*reading]("sensor.read", codec.In(packed{})))
	require.NoError(t, err)
	options := make([]eventstream.EventOption, 1, 2)
	options[0] = eventstream.WithTenant("acme")
	_, err = registry.Encode(&reading{Sensor: "s1"}, options...)
	require.NoError(t, err)
	require.Nil(t, options[:2][1])
}

// Version 1 is not written: most events have no metadata at all.
func TestCodecWritesNoFirstSchemaVersion(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[orderPlaced]("order.placed"))
	require.NoError(t, err)
	e, err := registry.Encode(orderPlaced{By: "ada"})
	require.NoError(t, err)
	require.Nil(t, e.Metadata)
	require.Equal(t, 1, codec.SchemaVersion(e))
}

func TestCodecSchemaVersionOfMetadata(t *testing.T) {
	t.Parallel()
	for metadata, want := range schemaVersions {
		require.Equal(t, want, codec.SchemaVersion(eventstream.Event{Metadata: json.RawMessage(metadata)}), metadata)
	}
	require.Equal(t, 3, codec.SchemaVersion(eventstream.Event{Metadata: json.RawMessage("{\"schema\\u005fversion\": 3}")}))
}

// schemaVersions are judged alike by eventstream.event_schema_version: integration_test has the same list.
var schemaVersions = map[string]int{
	`{}`: 1, `{"a": {"schema_version": 4}}`: 1, `{"Schema_Version": 4}`: 1, `{"schema_version": 1}`: 1, `{"schema_version": 2}`: 2,
	`{"schema_version": 999999999}`: 999999999, `{"schema_version": 1000000000}`: 0, `{"schema_version": 0}`: 0, `{"schema_version": -1}`: 0,
	`{"schema_version": 1.5}`: 0, `{"schema_version": 2.0}`: 0, `{"schema_version": "2"}`: 0, `{"schema_version": null}`: 0,
	`{"schema_version": [2]}`: 0, `{"schema_version": true}`: 0,
}

func TestCodecRefusesASchemaVersionOfTheCallers(t *testing.T) {
	t.Parallel()
	registry := shop(t)
	_, err := registry.Encode(orderPlaced{}, eventstream.WithMetadata(map[string]int{codec.SchemaVersionKey: 1}))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.ErrorContains(t, err, "left to the registry, which writes 2")
}

func TestCodecUnknownIsRefusedOrKept(t *testing.T) {
	t.Parallel()
	refusing, keeping := shop(t), shop(t, codec.KeepUnknown())
	for _, c := range []struct {
		event          eventstream.Event
		version        int
		oldest, newest int
	}{
		{anEvent(t, "no.such", `{}`, 0), 1, 0, 0},
		{anEvent(t, "customer.registered", `{}`, 4), 4, 1, 3},
		{anEvent(t, "customer.registered", `{}`, 1_000_000_000), 0, 1, 3},
	} {
		_, err := refusing.Decode(c.event)
		require.ErrorIs(t, err, codec.ErrUnknownEvent)
		var unknown *codec.UnknownEventError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, []int{c.version, c.oldest, c.newest}, []int{unknown.SchemaVersion, unknown.Oldest, unknown.Newest})
		require.ErrorContains(t, err, c.event.ID.String())
		values, err := keeping.Decode(c.event)
		require.NoError(t, err)
		require.Equal(t, []any{codec.Raw{Event: c.event, SchemaVersion: c.version}}, values)
	}
}

// What an erased event said nobody knows any more, its schema version neither: it is no value of its type.
func TestCodecErasedIsRefusedOrKept(t *testing.T) {
	t.Parallel()
	for _, eventType := range []string{"customer.registered", "no.such"} {
		e := anEvent(t, eventType, `{}`, 0)
		e.Payload, e.Metadata, e.Erased = nil, []byte(`{"$erased": true}`), true
		require.NoError(t, e.Validate())
		_, err := shop(t, codec.KeepUnknown()).Decode(e)
		var erased *codec.ErasedEventError
		require.ErrorAs(t, err, &erased)
		require.ErrorIs(t, err, codec.ErrErased)
		require.ErrorContains(t, err, e.ID.String())
		values, err := shop(t, codec.KeepErased()).Decode(e)
		require.NoError(t, err)
		require.Equal(t, []any{codec.Erased{Event: e}}, values)
	}
	registry, err := codec.New(codec.Ignore("heartbeat"))
	require.NoError(t, err)
	e := anEvent(t, "heartbeat", `{}`, 0)
	e.Payload, e.Erased = nil, true
	values, err := registry.Decode(e)
	require.NoError(t, err)
	require.Empty(t, values, "what is ignored is ignored")
}

// A type whose oldest versions nobody has any more begins where its upcasters begin.
func TestCodecOlderThanTheOldestUpcasterIsUnknown(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[customerRegistered]("customer.registered", codec.Upcast(2, countCents)))
	require.NoError(t, err)
	require.Equal(t, []eventstream.KnownType{{Type: "customer.registered", Oldest: 2, Newest: 3}}, registry.Types())
	_, err = registry.Decode(anEvent(t, "customer.registered", `{}`, 0))
	require.ErrorIs(t, err, codec.ErrUnknownEvent)
}

func TestCodecTypes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []eventstream.KnownType{
		{Type: "customer.registered", Oldest: 1, Newest: 3},
		{Type: "order.item_added", Oldest: 1, Newest: 2},
		{Type: "order.placed", Oldest: 1, Newest: 2},
		{Type: "page.left", Oldest: 0, Newest: 1<<31 - 1},
		{Type: "page.seen", Oldest: 1, Newest: 2},
		{Type: "user.created", Oldest: 1, Newest: 3},
	}, shop(t).Types())
}

func TestCodecBytesGoToData(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[*reading]("sensor.read", codec.In(packed{}), codec.Version(2),
		codec.Upcast(1, func(old struct {
			Name string `json:"sensor"`
		},
		) (*reading, error) {
			return &reading{Sensor: old.Name}, nil
		})))
	require.NoError(t, err)
	e, err := registry.Encode(&reading{Sensor: "s1"})
	require.NoError(t, err)
	require.Nil(t, e.Payload)
	require.Equal(t, []byte("\x01s1"), e.Data)
	values, err := registry.Decode(e)
	require.NoError(t, err)
	require.Equal(t, []any{&reading{Sensor: "s1"}}, values)
	// The first version was JSON.
	values, err = registry.Decode(anEvent(t, "sensor.read", `{"sensor": "s0"}`, 0))
	require.NoError(t, err)
	require.Equal(t, []any{&reading{Sensor: "s0"}}, values)
}

func TestCodecFormatOfTheRegistry(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.WithFormat(packed{}), codec.Event[*reading]("sensor.read"))
	require.NoError(t, err)
	e, err := registry.Encode(&reading{Sensor: "s1"})
	require.NoError(t, err)
	require.Equal(t, []byte("\x01s1"), e.Data)
	json, err := codec.New(codec.Event[orderPlaced]("sensor.read"))
	require.NoError(t, err)
	_, err = json.Decode(e)
	require.ErrorContains(t, err, "no binary format")
}

// What an upcaster reads as a map keeps the digits of its numbers.
func TestCodecMapsKeepNumbers(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[customerRegistered]("customer.registered", codec.Upcast(1, func(old map[string]any) (map[string]any, error) {
		old["credit_cents"] = old["credit"]
		delete(old, "credit")
		return old, nil
	})))
	require.NoError(t, err)
	values, err := registry.Decode(anEvent(t, "customer.registered", `{"name": "Ada", "credit": 9007199254740993}`, 0))
	require.NoError(t, err)
	require.Equal(t, []any{customerRegistered{Name: "Ada", Credit: 9007199254740993}}, values)
}

func TestCodecUpcasterKnowsTheEvent(t *testing.T) {
	t.Parallel()
	registry, err := codec.New(codec.Event[orderPlaced]("order.placed", codec.UpcastEvent(1, func(e eventstream.Event, _ orderV1) (orderPlaced, error) {
		return orderPlaced{By: string(e.StreamID)}, nil
	})))
	require.NoError(t, err)
	values, err := registry.Decode(stored(t, "order.v1.json"))
	require.NoError(t, err)
	require.Equal(t, []any{orderPlaced{By: "order-1"}}, values)
}

var errSour = errors.New("sour")

func TestCodecErrorsSayWhere(t *testing.T) {
	t.Parallel()
	failing := codec.Upcast(1, func(customerV1) (customerV2, error) { return customerV2{}, errSour })
	registry, err := codec.New(codec.Event[customerRegistered]("customer.registered", codec.Formerly("user.created"), failing, codec.Upcast(2, countCents)))
	require.NoError(t, err)
	_, err = registry.Decode(stored(t, "customer.v1.json"))
	require.ErrorIs(t, err, errSour)
	require.EqualError(t, err, `cannot decode event 0190b5a0-0000-7000-8000-000000000001 (user.created, version 1 of stream "customer-1"), `+
		`at schema version 1 of customer.registered: sour`)
	_, err = shop(t).Decode(anEvent(t, "customer.registered", `{"name": 5}`, 3))
	require.ErrorContains(t, err, "at schema version 3 of customer.registered: json: cannot unmarshal number")
}

func TestCodecSplitIntoWhatIsNotRegistered(t *testing.T) {
	t.Parallel()
	for _, piece := range []any{
		nil, 5, codec.Old{Type: "no.such", Version: 1}, codec.Old{Type: "order.placed", Version: 3}, codec.Old{Type: "order.placed", Version: 1},
	} {
		registry, err := codec.New(codec.Event[orderPlaced]("order.placed", codec.Split(1, func(orderV1) ([]any, error) { return []any{piece}, nil })))
		require.NoError(t, err)
		_, err = registry.Decode(stored(t, "order.v1.json"))
		var failed *codec.DecodeError
		require.ErrorAs(t, err, &failed, "%v", piece)
	}
}

func TestCodecEncodeErrors(t *testing.T) {
	t.Parallel()
	registry := shop(t)
	for _, value := range []any{nil, 5, struct{}{}, (*orderPlaced)(nil), map[string]any{}} {
		_, err := registry.Encode(value)
		require.ErrorIs(t, err, codec.ErrUnregistered, "%v", value)
	}
	_, err := registry.Encode(orderPlaced{By: "\xff"})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	var failed *codec.EncodeError
	require.ErrorAs(t, err, &failed)
}

type appended struct{ events []eventstream.Event }

func (a *appended) Append(
	_ context.Context, _ eventstream.StreamID, _ eventstream.Expected, events ...eventstream.Event,
) (eventstream.AppendResult, error) {
	a.events = append(a.events, events...)
	return eventstream.AppendResult{}, nil
}

// One line for a user: the error of a value is that of the append, and nothing was sent.
func TestCodecAppend(t *testing.T) {
	t.Parallel()
	registry, store := shop(t), &appended{}
	_, err := registry.Append(t.Context(), store, "order-1", eventstream.Empty, orderPlaced{By: "ada"}, 5)
	require.ErrorIs(t, err, codec.ErrUnregistered)
	require.Empty(t, store.events)
	_, err = registry.Append(t.Context(), store, "order-1", eventstream.Empty, orderPlaced{By: "ada"}, itemAdded{SKU: "A"})
	require.NoError(t, err)
	values, err := registry.DecodeAll(store.events)
	require.NoError(t, err)
	require.Equal(t, []any{orderPlaced{By: "ada"}, itemAdded{SKU: "A"}}, values)
}

// The error of an event in one value is the append's own.
func TestCodecEventCarriesItsError(t *testing.T) {
	t.Parallel()
	registry, store := shop(t), eventstreamtest.NewMemory()
	_, err := store.Append(t.Context(), "order-1", eventstream.Any, registry.Event(orderPlaced{By: "ada"}), registry.Event(5))
	require.ErrorIs(t, err, codec.ErrUnregistered)
	_, err = store.Append(t.Context(), "order-1", eventstream.Any, registry.Event(orderPlaced{By: "ada"}))
	require.NoError(t, err)
}

func TestCodecValuesEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	events := func(yield func(eventstream.Event, error) bool) {
		for _, name := range []string{"order.v1.json", "customer.v2.json"} {
			if !yield(stored(t, name), nil) {
				return
			}
		}
		yield(eventstream.Event{}, errSour)
	}
	count, last := 0, error(nil)
	for _, err := range shop(t).Values(events) {
		count, last = count+1, err
	}
	require.Equal(t, 5, count)
	require.ErrorIs(t, last, errSour)
	for value, err := range shop(t).Values(events) {
		require.NoError(t, err)
		require.Equal(t, orderPlaced{By: "ada"}, value)
		break
	}
}

func TestCodecNewRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	up := codec.Upcast(1, mergeNames)
	for want, options := range map[string][]codec.Option{
		"option 1":                           {nil},
		"invalid event_type":                 {codec.Event[orderPlaced](" order")},
		"registered once, under one Go type": {codec.Event[orderPlaced]("a"), codec.Event[itemAdded]("a")},
		"it is a already":                    {codec.Event[orderPlaced]("a"), codec.Event[orderPlaced]("b")},
		"under one Go type":                  {codec.Event[orderPlaced]("a"), codec.Event[itemAdded]("b", codec.Formerly("a"))},
		"none for schema version 2":          {codec.Event[customerRegistered]("a", codec.Version(3), up)},
		"above 1, which has an upcaster":     {codec.Event[customerRegistered]("a", codec.Version(1), up)},
		"upcast once":                        {codec.Event[customerRegistered]("a", up, codec.Drop(1))},
		"from 1 to 999999999":                {codec.Event[customerRegistered]("a", codec.Version(0))},
		"from 1 to 999999998":                {codec.Event[customerRegistered]("a", codec.Drop(0))},
		"option 2 of a":                      {codec.Event[customerRegistered]("a", up, nil)},
		"In of a":                            {codec.Event[customerRegistered]("a", codec.In(nil))},
		"WithFormat":                         {codec.WithFormat(nil)},
		"Upcast of a":                        {codec.Event[customerRegistered]("a", codec.Upcast[customerV1, customerV2](1, nil))},
	} {
		_, err := codec.New(options...)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, want)
		require.ErrorContains(t, err, want)
	}
}

// An option is a value: one registry does not change what another is made of.
func TestCodecOptionsMayBeUsedTwice(t *testing.T) {
	t.Parallel()
	option := codec.Event[customerRegistered]("customer.registered", codec.Upcast(1, mergeNames), codec.Upcast(2, countCents))
	for range 2 {
		_, err := codec.New(option)
		require.NoError(t, err)
	}
}

// What Gapless itself writes is no gap in what a registry knows: the end of a stream, and what tells of an erasure.
func TestCodecPassesOverEventsOfTheStore(t *testing.T) {
	t.Parallel()
	type told struct{ Reason string }
	plain, err := codec.New(codec.Event[told]("thing.told"))
	require.NoError(t, err)
	knows, err := codec.New(codec.Event[told](string(eventstream.ClosedType)))
	require.NoError(t, err)
	keeps, err := codec.New(codec.KeepUnknown(), codec.Event[told]("thing.told"))
	require.NoError(t, err)
	for _, eventType := range []eventstream.EventType{eventstream.ClosedType, eventstream.ErasedType} {
		e, err := eventstream.NewEvent(string(eventType), told{"done"})
		require.NoError(t, err)
		values, err := plain.Decode(e)
		require.NoError(t, err)
		require.Empty(t, values)
		values, err = keeps.Decode(e)
		require.NoError(t, err)
		require.IsType(t, codec.Raw{}, values[0])
	}
	e, err := eventstream.NewEvent(string(eventstream.ClosedType), told{"done"})
	require.NoError(t, err)
	values, err := knows.Decode(e)
	require.NoError(t, err)
	require.Equal(t, []any{told{"done"}}, values)

	store := asked{{Type: eventstream.ClosedType, SchemaVersion: 1}, {Type: "thing.else", SchemaVersion: 1}, {Type: eventstream.ErasedType, SchemaVersion: 1}}
	unknown, err := codec.Check(t.Context(), store, plain)
	require.NoError(t, err)
	require.Len(t, unknown, 1)
	require.Equal(t, eventstream.EventType("thing.else"), unknown[0].Type)
	unknown, err = codec.Check(t.Context(), store, plain, knows)
	require.NoError(t, err)
	require.Len(t, unknown, 2, "a schema version of the type that one of them has")
}

// asked is what a store holds that nobody knows.
type asked []eventstream.UnknownType

func (a asked) UnknownTypes(context.Context, ...eventstream.KnownType) ([]eventstream.UnknownType, error) {
	return slices.Clone(a), nil
}

// Among values, events are what they are: with tags and metadata that a value has no place for.
func TestCodecEncodesValuesAmongEvents(t *testing.T) {
	t.Parallel()
	type told struct{ N int }
	r, err := codec.New(codec.Event[told]("thing.told"))
	require.NoError(t, err)
	decide := codec.Decide(r, func(n, _ int) ([]any, error) {
		return []any{r.Event(told{n}, eventstream.WithTags("thing:7")), told{n + 1}}, nil
	})
	events, err := decide(1, 0)
	require.NoError(t, err)
	require.Equal(t, []string{"thing:7"}, events[0].Tags())
	require.JSONEq(t, `{"N": 1}`, string(events[0].Payload))
	require.JSONEq(t, `{"N": 2}`, string(events[1].Payload))
	_, err = r.EncodeAll(told{1}, r.Event("of no type"))
	require.ErrorContains(t, err, "not registered")
}
