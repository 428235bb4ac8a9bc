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
		{"RefusesWhatFollowsTheEndOfAStream", refusesWhatFollowsTheEndOfAStream},
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

func refusesWhatFollowsTheEndOfAStream(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 2)
	appendTo(t, store, "thing-1", events...)
	appendTo(t, store, "thing-2", newEvents(t, 1)...)
	closeStream := func(id eventstream.StreamID, expected eventstream.Expected, reason string) (int64, error) {
		return store.CloseStream(t.Context(), id, expected, reason)
	}
	_, err := closeStream("thing-1", eventstream.Exact(1), "done")
	isErrorLike(t, err, &eventstream.VersionConflictError{StreamID: "thing-1", Expected: 1, Actual: 2}, "an earlier version")
	_, err = closeStream("none-1", eventstream.Exists, "done")
	isErrorLike(t, err, &eventstream.StreamMissingError{StreamID: "none-1"}, "no stream")
	for what, try := range map[string]func() (int64, error){
		"no reason":      func() (int64, error) { return closeStream("thing-1", eventstream.Any, " ") },
		"no id":          func() (int64, error) { return closeStream("", eventstream.Any, "done") },
		"no expectation": func() (int64, error) { return closeStream("thing-1", nil, "done") },
	} {
		_, err := try()
		isError(t, err, eventstream.ErrInvalidValue, what)
	}
	_, err = store.Append(t.Context(), "thing-1", eventstream.Any, newEvent(t, string(eventstream.ClosedType), nil))
	isError(t, err, eventstream.ErrInvalidValue, "by Append")
	untouched(t, store, 3)

	version, err := closeStream("thing-1", eventstream.Exact(2), "done")
	noError(t, err)
	equal(t, int64(3), version, "version")
	last := all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{From: 3}))[0]
	equal(t, `{"reason": "done"}`, string(last.Payload), "payload")
	equal(t, eventstream.ClosedType, last.Type, "type")
	stream, err := store.Load(t.Context(), "thing-1")
	noError(t, err)
	equal(t, true, stream.IsClosed(), "closed")

	again, err := closeStream("thing-1", eventstream.Exact(7), "another reason")
	noError(t, err)
	equal(t, int64(3), again, "version")
	closed := &eventstream.StreamClosedError{StreamID: "thing-1", Version: 3}
	for _, expected := range []eventstream.Expected{eventstream.Any, eventstream.Exact(3), eventstream.Exact(1), eventstream.Empty} {
		_, err := store.Append(t.Context(), "thing-1", expected, newEvents(t, 1)...)
		isErrorLike(t, err, closed, "an event after the end")
	}
	_, err = store.AppendMany(t.Context(),
		eventstream.AppendRequest{StreamID: "thing-2", Expected: eventstream.Any, Events: newEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "thing-1", Expected: eventstream.Any, Events: newEvents(t, 1)})
	isErrorLike(t, err, closed, "one of several")
	repeated, err := store.Append(t.Context(), "thing-1", eventstream.Any, events...)
	noError(t, err)
	equal(t, true, repeated.Duplicate, "a repetition of what came before")
	untouched(t, store, 4)
}
