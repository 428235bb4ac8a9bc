package eventstreamtest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gaplesspg/gapless/eventstream"
)

func appendTests() []conformanceTest {
	return []conformanceTest{
		{"AppendNumbersTheEvents", appendNumbersTheEvents},
		{"AppendKeepsWhatItIsGiven", appendKeepsWhatItIsGiven},
		{"AppendOwnsWhatItKeeps", appendOwnsWhatItKeeps},
		{"AppendRepeatedIsADuplicate", appendRepeatedIsADuplicate},
		{"AppendManyInOrder", appendManyInOrder},
		{"AppendManyAllOrNothing", appendManyAllOrNothing},
		{"AppendPlacesANewStream", appendPlacesANewStream},
		{"AppendByManyAtOnce", appendByManyAtOnce},
		{"AppendWithAnEndedContext", appendWithAnEndedContext},
	}
}

func appendNumbersTheEvents(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 3)
	result, err := store.Append(t.Context(), "thing-1", eventstream.Empty, events[:2]...)
	noError(t, err)
	equal(t, [3]int64{1, 2, 2}, [3]int64{result.FirstVersion, result.LastVersion, result.CurrentVersion}, "versions")
	again, err := store.Append(t.Context(), "thing-1", eventstream.Exact(2), events[2])
	noError(t, err)
	equal(t, [3]int64{3, 3, 3}, [3]int64{again.FirstVersion, again.LastVersion, again.CurrentVersion}, "versions")
	if again.LastPosition <= result.LastPosition || result.LastPosition < 1 || result.Duplicate || again.Duplicate {
		t.Fatalf("results %+v and %+v", result, again)
	}
	holds(t, store, "thing-1", events...)
}

// The payload comes back as jsonb prints it.
func appendKeepsWhatItIsGiven(t *testing.T, store eventstream.Store) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", 5*3600))
	events := []eventstream.Event{
		newEvent(t, "a.b", json.RawMessage(`{"longer": [1e0, 2.50, -0, 1.5e3, 25e-3], "b":null,"a" : "x\u000a\u0001\"<é", "b": true}`),
			eventstream.WithOccurredAt(at)),
		newEvent(t, "A b", nil, eventstream.WithData([]byte{0, 255})),
		newEvent(t, "a", "both", eventstream.WithData(nil), eventstream.WithMetadata(map[string]any{"trace": "t", "n": 1})),
		newEvent(t, "a", nil),
	}
	appendTo(t, store, "thing-1", events...)
	wantPayloads := []string{`{"a": "x\n\u0001\"<é", "b": true, "longer": [1, 2.50, 0, 1500, 0.025]}`, "", `"both"`, "null"}
	wantMetadata := []string{"{}", "{}", `{"n": 1, "trace": "t"}`, "{}"}
	for i, got := range all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{})) {
		equal(t, wantPayloads[i], string(got.Payload), "payload")
		equal(t, wantMetadata[i], string(got.Metadata), "metadata")
		equal(t, events[i].Data, got.Data, "data")
		equal(t, events[i].Type, got.Type, "type")
		equal(t, events[i].OccurredAt, got.OccurredAt, "occurred at")
		equal(t, eventstream.DefaultTenant, got.TenantID, "tenant")
		if age := time.Since(got.RecordedAt); age > time.Hour || age < -time.Hour || got.RecordedAt.Location() != time.UTC {
			t.Fatalf("recorded at %v", got.RecordedAt)
		}
		one, err := store.Event(t.Context(), events[i].ID)
		noError(t, err)
		equal(t, got, one, "the event by its id")
	}
}

func appendOwnsWhatItKeeps(t *testing.T, store eventstream.Store) {
	e := newEvent(t, "a", map[string]int{"n": 1}, eventstream.WithData([]byte("data")))
	appendTo(t, store, "thing-1", e)
	e.Payload[0], e.Data[0] = '!', '!'
	for range 2 {
		for _, got := range all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{})) {
			equal(t, `{"n": 1}`, string(got.Payload), "payload")
			equal(t, "data", string(got.Data), "data")
			got.Payload[0], got.Data[0] = '?', '?'
		}
	}
}

// Whatever is expected, and after the stream has moved on; metadata and time may differ, and so may the way a payload is written.
func appendRepeatedIsADuplicate(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 2)
	first, err := store.Append(t.Context(), "thing-1", eventstream.Empty, events...)
	noError(t, err)
	appendTo(t, store, "thing-1", newEvents(t, 1)...)
	events[0].Payload, events[1].Metadata = json.RawMessage(" {\"n\" : 0.0}"), json.RawMessage(`{"try": 2}`)
	events[1].OccurredAt = events[1].OccurredAt.Add(time.Hour)
	first.Duplicate, first.CurrentVersion = true, 3
	for _, expected := range []eventstream.Expected{eventstream.Empty, eventstream.Any, eventstream.Exists, eventstream.Exact(0), eventstream.Exact(7)} {
		again, err := store.Append(t.Context(), "thing-1", expected, events...)
		noError(t, err)
		equal(t, first, again, "the repeated append, expected "+expected.String())
	}
	untouched(t, store, 3)
}

func appendManyInOrder(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 6)
	results, err := store.AppendMany(t.Context(),
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Empty, Events: events[:2]},
		eventstream.AppendRequest{StreamID: "a-1", Expected: eventstream.Empty, Events: events[2:3]},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exact(2), Events: events[3:5]},
		eventstream.AppendRequest{StreamID: "b-1", Expected: eventstream.Exists, Events: events[5:]})
	noError(t, err)
	versions := [][3]int64{}
	for _, r := range results {
		versions = append(versions, [3]int64{r.FirstVersion, r.LastVersion, r.CurrentVersion})
	}
	equal(t, [][3]int64{{1, 2, 2}, {1, 1, 1}, {3, 4, 4}, {5, 5, 5}}, versions, "versions, in the order of the requests")
	holds(t, store, "b-1", events[0], events[1], events[3], events[4], events[5])
	holds(t, store, "a-1", events[2])
	last := all(t, store.Read(t.Context(), "b-1", eventstream.ReadOptions{Backwards: true, Limit: 1}))
	equal(t, last[0].Position, results[3].LastPosition, "last position")
}

func appendManyAllOrNothing(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "old-1", newEvents(t, 2)...)
	_, err := store.AppendMany(t.Context(),
		eventstream.AppendRequest{StreamID: "new-1", Expected: eventstream.Empty, Events: newEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "old-1", Expected: eventstream.Exact(7), Events: newEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "old-1", Expected: eventstream.Exact(2), Events: newEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "none-1", Expected: eventstream.Exists, Events: newEvents(t, 1)})
	var batch *eventstream.BatchError
	if !errors.As(err, &batch) {
		t.Fatalf("error %v, want a *BatchError", err)
	}
	equal(t, 4, batch.Requests, "requests")
	refused := []int{}
	for _, r := range batch.Refused {
		refused = append(refused, r.Index)
	}
	equal(t, []int{1, 3}, refused, "refused")
	isErrorLike(t, err, &eventstream.VersionConflictError{StreamID: "old-1", Expected: 7, Actual: 2}, "the first refusal")
	isErrorLike(t, err, &eventstream.StreamMissingError{StreamID: "none-1"}, "the second refusal")
	untouched(t, store, 2)
	_, err = store.Stream(t.Context(), "new-1")
	isError(t, err, eventstream.ErrStreamNotFound, "a stream of a refused batch")
}

func appendPlacesANewStream(t *testing.T, store eventstream.Store) {
	usual, err := eventstream.PartitionOf("thing-1", eventstream.DefaultPartitionCount)
	noError(t, err)
	other := eventstream.PartitionKey{ID: (usual.ID + 1) % usual.Count, Count: usual.Count}
	place := func(p *eventstream.PartitionKey) error {
		_, err := store.AppendMany(t.Context(),
			eventstream.AppendRequest{StreamID: "thing-1", Expected: eventstream.Any, Events: newEvents(t, 1), Partition: p})
		return err
	}
	noError(t, place(&other))
	noError(t, place(nil))
	noError(t, place(&other))
	isErrorLike(t, place(&usual), &eventstream.PartitionMismatchError{StreamID: "thing-1", StreamPartition: other.ID, EventPartition: usual.ID},
		"another partition")
	stream, err := store.Load(t.Context(), "thing-1")
	noError(t, err)
	equal(t, other, stream.PartitionKey(), "partition of the stream")
	for _, e := range stream.EventsFrom(1) {
		equal(t, other.ID, e.PartitionID, "partition of an event")
	}
	equal(t, 3, stream.EventCount(), "events")
}

// Of all that expect one version, one gets it.
func appendByManyAtOnce(t *testing.T, store eventstream.Store) {
	const writers, rounds = 8, 5
	var group sync.WaitGroup
	var mu sync.Mutex
	won := map[int64]int{}
	for range writers {
		group.Go(func() {
			for version := range int64(rounds) {
				e, err := eventstream.NewEvent("thing.happened", version)
				if err == nil {
					_, err = store.Append(context.WithoutCancel(t.Context()), "hot-1", eventstream.Exact(version), e)
				}
				mu.Lock()
				switch {
				case err == nil:
					won[version]++
				case !errors.Is(err, eventstream.ErrVersionConflict):
					t.Errorf("append at version %d: %v", version, err)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	want := map[int64]int{}
	stream, err := store.Load(t.Context(), "hot-1")
	noError(t, err)
	for version := range stream.CurrentVersion() {
		want[version] = 1
	}
	equal(t, want, won, "winners by version")
	equal(t, true, stream.IsGapless(), "gapless")
}

func appendWithAnEndedContext(t *testing.T, store eventstream.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Append(ctx, "thing-1", eventstream.Any, newEvents(t, 1)...)
	isError(t, err, context.Canceled, "Append")
	_, err = store.Load(ctx, "thing-1")
	isError(t, err, context.Canceled, "Load")
	isError(t, onlyError(t, store.Read(ctx, "thing-1", eventstream.ReadOptions{})), context.Canceled, "Read")
	isError(t, onlyError(t, store.ReadLog(ctx, eventstream.LogOptions{})), context.Canceled, "ReadLog")
	isError(t, onlyError(t, store.Streams(ctx, eventstream.StreamFilter{})), context.Canceled, "Streams")
	untouched(t, store, 0)
}
