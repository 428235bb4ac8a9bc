package eventstreamtest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

func streamTests() []conformanceTest {
	return []conformanceTest{
		{"LoadGivesAllThereIs", loadGivesAllThereIs},
		{"GetOrCreateThenSave", getOrCreateThenSave},
		{"SaveOfAStreamThatHasMoved", saveOfAStreamThatHasMoved},
		{"SaveTwice", saveTwice},
		{"StreamSaysWhereItStands", streamSaysWhereItStands},
		{"StreamsInOrder", streamsInOrder},
		{"EventByItsID", eventByItsID},
	}
}

func loadGivesAllThereIs(t *testing.T, store eventstream.Store) {
	_, err := store.Load(t.Context(), "thing-1")
	isErrorLike(t, err, &eventstream.StreamNotFoundError{StreamID: "thing-1"}, "Load of no stream")
	_, err = store.Load(t.Context(), " ")
	isError(t, err, eventstream.ErrInvalidValue, "Load of no id")
	events := newEvents(t, 3, eventstream.WithTenant("acme"))
	appendTo(t, store, "thing-1", events...)
	stream, err := store.Load(t.Context(), "thing-1")
	noError(t, err)
	equal(t, ids(events), ids(stream.EventsFrom(1)), "events")
	equal(t, [4]int64{3, 3, 0, 3}, [4]int64{stream.CurrentVersion(), stream.Watermark(), stream.BaseVersion(), int64(stream.EventCount())}, "versions")
	equal(t, eventstream.TenantID("acme"), stream.TenantID(), "tenant")
	equal(t, 0, len(stream.NewEvents()), "new events")
	read := all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{}))
	equal(t, read, stream.EventsFrom(1), "what Read gives")
	equal(t, read[0].RecordedAt, stream.CreatedAt(), "created at")
	equal(t, read[2].RecordedAt, stream.UpdatedAt(), "updated at")
}

func getOrCreateThenSave(t *testing.T, store eventstream.Store) {
	stream, err := store.GetOrCreate(t.Context(), "thing-1")
	noError(t, err)
	equal(t, int64(0), stream.CurrentVersion(), "version of a new stream")
	untouched(t, store, 0)
	result, err := store.Save(t.Context(), stream)
	noError(t, err)
	equal(t, eventstream.AppendResult{}, result, "Save of nothing")
	events := newEvents(t, 2)
	for _, e := range events {
		_, err := stream.AppendEvent(e)
		noError(t, err)
	}
	result, err = store.Save(t.Context(), stream)
	noError(t, err)
	equal(t, [3]int64{1, 2, 2}, [3]int64{result.FirstVersion, result.LastVersion, result.CurrentVersion}, "versions")
	equal(t, [2]int64{2, 2}, [2]int64{stream.CurrentVersion(), stream.Watermark()}, "the saved stream")
	equal(t, 0, len(stream.NewEvents()), "new events")
	holds(t, store, "thing-1", events...)
	again, err := store.GetOrCreate(t.Context(), "thing-1")
	noError(t, err)
	equal(t, ids(events), ids(again.EventsFrom(1)), "GetOrCreate of a stream that exists")
	equal(t, again.PartitionKey(), stream.PartitionKey(), "partition")
}

func saveOfAStreamThatHasMoved(t *testing.T, store eventstream.Store) {
	appendTo(t, store, "thing-1", newEvents(t, 1)...)
	slow, err := store.Load(t.Context(), "thing-1")
	noError(t, err)
	appendTo(t, store, "thing-1", newEvents(t, 1)...)
	_, err = slow.AppendEvent(newEvents(t, 1)[0])
	noError(t, err)
	_, err = store.Save(t.Context(), slow)
	isErrorLike(t, err, &eventstream.VersionConflictError{StreamID: "thing-1", Expected: 1, Actual: 2}, "Save")
	equal(t, 1, len(slow.NewEvents()), "new events that are kept")
	equal(t, int64(1), slow.Watermark(), "watermark")
	untouched(t, store, 2)
}

// A Save whose answer was lost may be repeated, by the stream as it was before.
func saveTwice(t *testing.T, store eventstream.Store) {
	stream := eventstream.New("thing-1")
	_, err := stream.AppendEvent(newEvents(t, 1)[0])
	noError(t, err)
	before := stream.Clone()
	first, err := store.Save(t.Context(), stream)
	noError(t, err)
	again, err := store.Save(t.Context(), before)
	noError(t, err)
	first.Duplicate = true
	equal(t, first, again, "the repeated Save")
	equal(t, int64(1), before.Watermark(), "watermark")
	_, err = stream.AppendEvent(newEvents(t, 1)[0])
	noError(t, err)
	result, err := store.Save(t.Context(), stream)
	noError(t, err)
	equal(t, int64(2), result.LastVersion, "the next Save")
}

func streamSaysWhereItStands(t *testing.T, store eventstream.Store) {
	_, err := store.Stream(t.Context(), "thing-1")
	isErrorLike(t, err, &eventstream.StreamNotFoundError{StreamID: "thing-1"}, "no stream")
	appendTo(t, store, "thing-1", newEvents(t, 2)...)
	appendTo(t, store, "thing-2", newEvents(t, 1)...)
	head, err := store.Stream(t.Context(), "thing-1")
	noError(t, err)
	events := all(t, store.Read(t.Context(), "thing-1", eventstream.ReadOptions{}))
	usual, err := eventstream.PartitionOf("thing-1", eventstream.DefaultPartitionCount)
	noError(t, err)
	equal(t, eventstream.StreamHead{
		StreamID: "thing-1", TenantID: "default", Partition: usual, CurrentVersion: 2, Watermark: 2, LastPosition: events[1].Position,
		CreatedAt: events[0].RecordedAt, UpdatedAt: events[1].RecordedAt,
	}, head, "head")
}

func streamsInOrder(t *testing.T, store eventstream.Store) {
	for _, id := range []eventstream.StreamID{"order-2", "Zebra", "order", "order-1", "ordered-1"} {
		appendTo(t, store, id, newEvents(t, 1)...)
	}
	appendTo(t, store, "order-3", newEvents(t, 1, eventstream.WithTenant("acme"))...)
	list := func(f eventstream.StreamFilter) (got []eventstream.StreamID) {
		for _, head := range all(t, store.Streams(t.Context(), f)) {
			got = append(got, head.StreamID)
		}
		return got
	}
	equal(t, []eventstream.StreamID{"Zebra", "order", "order-1", "order-2", "order-3", "ordered-1"}, list(eventstream.StreamFilter{}), "all")
	equal(t, []eventstream.StreamID{"order", "order-1", "order-2", "order-3"}, list(eventstream.StreamFilter{Category: "order"}), "of a category")
	equal(t, []eventstream.StreamID{"order-3"}, list(eventstream.StreamFilter{Tenant: "acme"}), "of a tenant")
	equal(t, []eventstream.StreamID{"order-1", "order-2"}, list(eventstream.StreamFilter{After: "order", Limit: 2}), "a page")
	usual, err := eventstream.PartitionOf("order-1", eventstream.DefaultPartitionCount)
	noError(t, err)
	for _, head := range all(t, store.Streams(t.Context(), eventstream.StreamFilter{Partition: &usual.ID})) {
		equal(t, usual, head.Partition, "partition")
	}
	for what, f := range map[string]eventstream.StreamFilter{
		"limit": {Limit: -1}, "tenant": {Tenant: "a b"}, "category": {Category: "a-b"}, "partition": {Partition: new(32)},
	} {
		isError(t, onlyError(t, store.Streams(t.Context(), f)), eventstream.ErrInvalidValue, what)
	}
}

func eventByItsID(t *testing.T, store eventstream.Store) {
	events := newEvents(t, 2)
	appendTo(t, store, "thing-1", events...)
	e, err := store.Event(t.Context(), events[1].ID)
	noError(t, err)
	equal(t, int64(2), e.Version, "version")
	none := uuid.New()
	_, err = store.Event(t.Context(), none)
	isErrorLike(t, err, &eventstream.EventNotFoundError{EventID: none}, "no event")
}
