package eventstreamtest

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

func refusalTests() []conformanceTest {
	return []conformanceTest{
		{"RefusesWhatIsNotExpected", refusesWhatIsNotExpected},
		{"RefusesAnotherTenant", refusesAnotherTenant},
		{"RefusesAnIDThatIsTaken", refusesAnIDThatIsTaken},
		{"RefusesWhatCannotBe", refusesWhatCannotBe},
	}
}

func refusesWhatIsNotExpected(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "thing-1", newEvents(t, 2)...)
	try := func(id eventstream.StreamID, expected eventstream.Expected) error {
		_, err := store.Append(t.Context(), id, expected, newEvents(t, 1)...)
		return err
	}
	err := try("thing-1", eventstream.Exact(1))
	isErrorLike(t, err, &eventstream.VersionConflictError{StreamID: "thing-1", Expected: 1, Actual: 2}, "an earlier version")
	isErrorLike(t, try("thing-1", eventstream.Exact(3)), &eventstream.VersionConflictError{StreamID: "thing-1", Expected: 3, Actual: 2}, "a later version")
	isErrorLike(t, try("none-1", eventstream.Exact(3)), &eventstream.VersionConflictError{StreamID: "none-1", Expected: 3}, "no stream")
	err = try("thing-1", eventstream.Empty)
	isErrorLike(t, err, &eventstream.StreamExistsError{StreamID: "thing-1", Actual: 2}, "Empty")
	isError(t, err, eventstream.ErrVersionConflict, "Empty")
	isErrorLike(t, try("none-1", eventstream.Exists), &eventstream.StreamMissingError{StreamID: "none-1"}, "Exists")
	untouched(t, store, 2)
	for _, expected := range []eventstream.Expected{eventstream.Exact(2), eventstream.Exists, eventstream.Any} {
		noError(t, try("thing-1", expected))
	}
	noError(t, try("new-1", eventstream.Exact(0)))
	noError(t, try("new-2", eventstream.Any))
}

func refusesAnotherTenant(t *testing.T, store eventstream.Store) {
	acme := eventstream.WithTenant("acme")
	first := newEvents(t, 1, acme)
	appendTo(t, store, "thing-1", first...)
	appendTo(t, store, "thing-1", newEvents(t, 1)...)
	appendTo(t, store, "thing-2", newEvents(t, 1)...)
	_, err := store.Append(t.Context(), "thing-1", eventstream.Any, newEvents(t, 1, eventstream.WithTenant("other"))...)
	isErrorLike(t, err, &eventstream.TenantMismatchError{StreamID: "thing-1", StreamTenant: "acme", EventTenant: "other"}, "another tenant")
	_, err = store.Append(t.Context(), "thing-2", eventstream.Exact(9), newEvents(t, 1, acme)...)
	isErrorLike(t, err, &eventstream.TenantMismatchError{StreamID: "thing-2", StreamTenant: "default", EventTenant: "acme"}, "the tenant is judged first")
	_, err = store.Append(t.Context(), "thing-3", eventstream.Any, newEvent(t, "a", 1, acme), newEvent(t, "a", 2, eventstream.WithTenant("other")))
	isErrorLike(t, err, &eventstream.TenantMismatchError{StreamID: "thing-3", StreamTenant: "acme", EventTenant: "other"}, "two tenants in one call")
	first[0].TenantID = "other"
	_, err = store.Append(t.Context(), "thing-1", eventstream.Any, first...)
	isErrorLike(t, err, &eventstream.TenantMismatchError{StreamID: "thing-1", StreamTenant: "acme", EventTenant: "other"}, "a repetition for another tenant")
	for _, e := range all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{})) {
		equal(t, eventstream.TenantID("acme"), e.TenantID, "tenant")
	}
	untouched(t, store, 3)
}

func refusesAnIDThatIsTaken(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 3)
	appendTo(t, store, "thing-1", events[:2]...)
	changed := events[0].Clone()
	changed.Payload = json.RawMessage(`{"n": 77}`)
	renamed := events[0].Clone()
	renamed.Type = "another.type"
	for what, c := range map[string]struct {
		id     eventstream.StreamID
		events []eventstream.Event
	}{
		"other content":       {"thing-1", []eventstream.Event{changed}},
		"another type":        {"thing-1", []eventstream.Event{renamed}},
		"another stream":      {"thing-2", events[:1]},
		"another order":       {"thing-1", []eventstream.Event{events[1], events[0]}},
		"one of them new":     {"thing-1", events[1:3]},
		"the first of them":   {"thing-1", []eventstream.Event{events[2], events[0]}},
		"given twice at once": {"thing-1", []eventstream.Event{events[2], events[2]}},
	} {
		_, err := store.Append(t.Context(), c.id, eventstream.Any, c.events...)
		isError(t, err, eventstream.ErrEventIDConflict, what)
	}
	untouched(t, store, 2)
}

func refusesWhatCannotBe(t *testing.T, store eventstream.Store) {
	good := newEvents(t, 1)[0]
	bad := func(change func(*eventstream.Event)) []eventstream.Event {
		e := good.Clone()
		change(&e)
		return []eventstream.Event{e}
	}
	for what, request := range map[string]eventstream.AppendRequest{
		"no expectation":   {StreamID: "thing-1", Events: bad(func(*eventstream.Event) {})},
		"below zero":       {StreamID: "thing-1", Expected: eventstream.Exact(-1), Events: bad(func(*eventstream.Event) {})},
		"made of Any":      {StreamID: "thing-1", Expected: eventstream.Any + 1, Events: bad(func(*eventstream.Event) {})},
		"no events":        {StreamID: "thing-1", Expected: eventstream.Any},
		"no stream":        {Expected: eventstream.Any, Events: bad(func(*eventstream.Event) {})},
		"space at the end": {StreamID: "thing-1 ", Expected: eventstream.Any, Events: bad(func(*eventstream.Event) {})},
		"no id":            {StreamID: "thing-1", Expected: eventstream.Any, Events: bad(func(e *eventstream.Event) { e.ID = uuid.Nil })},
		"no type":          {StreamID: "thing-1", Expected: eventstream.Any, Events: bad(func(e *eventstream.Event) { e.Type = "" })},
		"no content":       {StreamID: "thing-1", Expected: eventstream.Any, Events: bad(func(e *eventstream.Event) { e.Payload = nil })},
		"half of JSON":     {StreamID: "thing-1", Expected: eventstream.Any, Events: bad(func(e *eventstream.Event) { e.Payload = []byte("{") })},
		"metadata no object": {
			StreamID: "thing-1", Expected: eventstream.Any, Events: bad(func(e *eventstream.Event) { e.Metadata = []byte("[]") }),
		},
		"no such partition": {
			StreamID: "thing-1", Expected: eventstream.Any, Events: []eventstream.Event{good}, Partition: &eventstream.PartitionKey{ID: 40, Count: 64},
		},
	} {
		_, err := store.AppendMany(t.Context(), request)
		isError(t, err, eventstream.ErrInvalidValue, what)
	}
	_, err := store.AppendMany(t.Context())
	isError(t, err, eventstream.ErrInvalidValue, "no request")
	_, err = store.Save(t.Context(), nil)
	isError(t, err, eventstream.ErrInvalidValue, "Save of nil")
	_, err = store.Append(t.Context(), "thing-1", eventstream.Any, eventstream.EventOf("a", func() {}))
	isError(t, err, eventstream.ErrInvalidValue, "an event that could not be made")
	foreign := good.Clone()
	foreign.StreamID = "thing-2"
	_, err = store.Append(t.Context(), "thing-1", eventstream.Any, foreign)
	isErrorLike(t, err, &eventstream.StreamMismatchError{StreamID: "thing-1", EventStreamID: "thing-2"}, "an event of another stream")
	untouched(t, store, 0)
}
