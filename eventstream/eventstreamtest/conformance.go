package eventstreamtest

import (
	"errors"
	"iter"
	"reflect"
	"testing"

	"github.com/gaplesspg/gapless/eventstream"
)

// Conformance holds a store to what eventstream.Store says: each of its tests opens an empty store, and uses it as the callers of a Repository
// do. The store must have eventstream.DefaultPartitionCount partitions and be safe for use by several goroutines; it may commit each call by
// itself. Tests run in parallel.
func Conformance(t *testing.T, open func(t *testing.T) eventstream.Store) {
	t.Helper()
	for _, group := range [][]conformanceTest{appendTests(), refusalTests(), streamTests(), readTests(), logTests()} {
		for _, test := range group {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.run(t, open(t))
			})
		}
	}
}

// conformanceTest is one promise.
type conformanceTest struct {
	name string
	run  func(t *testing.T, store eventstream.Store)
}

func newEvent(t *testing.T, eventType string, payload any, opts ...eventstream.EventOption) eventstream.Event {
	t.Helper()
	e, err := eventstream.NewEvent(eventType, payload, opts...)
	noError(t, err)
	return e
}

func newEvents(t *testing.T, count int, opts ...eventstream.EventOption) []eventstream.Event {
	t.Helper()
	events := make([]eventstream.Event, count)
	for i := range events {
		events[i] = newEvent(t, "thing.happened", map[string]int{"n": i}, opts...)
	}
	return events
}

// appendTo appends without an expectation, as a test's ground.
func appendTo(t *testing.T, store eventstream.Store, id eventstream.StreamID, events ...eventstream.Event) {
	t.Helper()
	_, err := store.Append(t.Context(), id, eventstream.Any, events...)
	noError(t, err)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func isError(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want one that is %v", what, err, want)
	}
}

// isErrorLike demands an error that holds an equal of want, a pointer to a struct.
func isErrorLike[T error](t *testing.T, err error, want T, what string) {
	t.Helper()
	var got T
	if !errors.As(err, &got) {
		t.Fatalf("%s: error %v, want %#v", what, err, want)
	}
	equal(t, want, got, what)
}

func equal[T any](t *testing.T, want, got T, what string) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func all[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	values := []T{}
	for value, err := range seq {
		noError(t, err)
		values = append(values, value)
	}
	return values
}

// onlyError demands that a reading gives an error, and nothing else.
func onlyError[T any](t *testing.T, seq iter.Seq2[T, error]) (err error) {
	t.Helper()
	pairs := 0
	for _, err = range seq {
		pairs++
	}
	if pairs != 1 || err == nil {
		t.Fatalf("got %d pairs, the last with error %v; want an error, once", pairs, err)
	}
	return err
}

// holds demands that a stream has exactly these events, in order, at versions 1, 2, 3 ...
func holds(t *testing.T, store eventstream.Store, id eventstream.StreamID, want ...eventstream.Event) {
	t.Helper()
	got := all(t, store.Read(t.Context(), id, eventstream.ReadOptions{}))
	equal(t, ids(want), ids(got), "events of "+string(id))
	for i, e := range got {
		equal(t, int64(i+1), e.Version, "version")
		equal(t, id, e.StreamID, "stream")
		if i > 0 && e.Position <= got[i-1].Position {
			t.Fatalf("position %d of version %d follows %d", e.Position, e.Version, got[i-1].Position)
		}
	}
}

func ids(events []eventstream.Event) []string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID.String()
	}
	return ids
}

// untouched demands that a store has so many events, and no more.
func untouched(t *testing.T, store eventstream.Store, want int) {
	t.Helper()
	equal(t, want, len(all(t, store.ReadLog(t.Context(), eventstream.LogOptions{}))), "events in the log")
}
