package eventstreamtest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gaplesspg/gapless/eventstream"
)

func logTests() []conformanceTest {
	return []conformanceTest{
		{"LogIsNumbered", logIsNumbered},
		{"LogFilters", logFilters},
		{"LogStarts", logStarts},
		{"LogStartsByPartition", logStartsByPartition},
		{"LogWhatCannotBe", logWhatCannotBe},
	}
}

// someLog is six events of three streams.
func someLog(t *testing.T, store eventstream.Store) []eventstream.LogEvent {
	t.Helper()
	appendTo(t, store, "order-1", newEvent(t, "order.placed", 1), newEvent(t, "order.paid", 2))
	appendTo(t, store, "user-1", newEvent(t, "user.seen", 3, eventstream.WithTenant("acme")))
	appendTo(t, store, "order-2", newEvent(t, "order.placed", 4))
	appendTo(t, store, "order-1", newEvent(t, "order.shipped", 5), newEvent(t, "order.closed", 6))
	return all(t, store.ReadLog(t.Context(), eventstream.LogOptions{}))
}

func sequences(events []eventstream.LogEvent) []int64 {
	numbers := make([]int64, len(events))
	for i, e := range events {
		numbers[i] = e.Sequence
	}
	return numbers
}

func logIsNumbered(t *testing.T, store eventstream.Store) {
	equal(t, []eventstream.LogEvent{}, all(t, store.ReadLog(t.Context(), eventstream.LogOptions{})), "an empty log")
	log := someLog(t, store)
	equal(t, []int64{1, 2, 3, 4, 5, 6}, sequences(log), "sequence numbers")
	counts := map[int]int64{}
	for i, e := range log {
		counts[e.PartitionID]++
		equal(t, counts[e.PartitionID], e.PartitionSequence, "number in its partition")
		if i > 0 && e.Position <= log[i-1].Position {
			t.Fatalf("position %d follows %d", e.Position, log[i-1].Position)
		}
		one, err := store.Event(t.Context(), e.ID)
		noError(t, err)
		equal(t, one, e.Event, "the event itself")
	}
}

func logFilters(t *testing.T, store eventstream.Store) {
	log := someLog(t, store)
	first := log[0].PartitionID
	ofPartition := []int64{}
	for _, e := range log {
		if e.PartitionID == first {
			ofPartition = append(ofPartition, e.Sequence)
		}
	}
	for _, c := range []struct {
		opts eventstream.LogOptions
		want []int64
	}{
		{eventstream.LogOptions{Limit: 2}, []int64{1, 2}},
		{eventstream.LogOptions{Backwards: true, Limit: 2}, []int64{6, 5}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "order"}}, []int64{1, 2, 4, 5, 6}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Types: []eventstream.EventType{"order.placed", "user.seen"}}}, []int64{1, 3, 4}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Tenant: "acme"}}, []int64{3}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Tenant: "acme", Category: "order"}}, []int64{}},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Partitions: []int{first}}}, ofPartition},
		{eventstream.LogOptions{Filter: eventstream.LogFilter{Category: "order"}, Backwards: true, Limit: 3}, []int64{6, 5, 4}},
	} {
		got := all(t, store.ReadLog(t.Context(), c.opts))
		equal(t, c.want, sequences(got), "selected by "+c.opts.Filter.Category)
		for _, e := range got {
			equal(t, log[e.Sequence-1], e, "the same event as without a filter")
		}
	}
}

func logStarts(t *testing.T, store eventstream.Store) {
	log := someLog(t, store)
	for _, c := range []struct {
		from      eventstream.Start
		backwards bool
		want      []int64
	}{
		{eventstream.FromBeginning, false, []int64{1, 2, 3, 4, 5, 6}},
		{eventstream.FromBeginning, true, []int64{1}},
		{eventstream.FromLatest, false, []int64{}},
		{eventstream.FromLatest, true, []int64{6, 5, 4, 3, 2, 1}},
		{eventstream.FromSequence(5), false, []int64{5, 6}},
		{eventstream.FromSequence(2), true, []int64{2, 1}},
		{eventstream.FromSequence(7), false, []int64{}},
		{eventstream.FromPosition(log[4].Position), false, []int64{5, 6}},
		{eventstream.FromPosition(log[1].Position), true, []int64{2, 1}},
		{eventstream.After(log[3]), false, []int64{5, 6}},
		{eventstream.FromTime(log[0].RecordedAt), false, []int64{1, 2, 3, 4, 5, 6}},
		{eventstream.FromTime(time.Now().Add(time.Minute)), false, []int64{}},
	} {
		got := all(t, store.ReadLog(t.Context(), eventstream.LogOptions{From: c.from, Backwards: c.backwards}))
		equal(t, c.want, sequences(got), "from "+c.from.String())
	}
}

func logStartsByPartition(t *testing.T, store eventstream.Store) {
	log := someLog(t, store)
	start := map[int]int64{log[0].PartitionID: 2}
	want := []int64{}
	for _, e := range log {
		if e.PartitionSequence >= start[e.PartitionID] {
			want = append(want, e.Sequence)
		}
	}
	got := all(t, store.ReadLog(t.Context(), eventstream.LogOptions{From: eventstream.FromPartitionSequences(start)}))
	equal(t, want, sequences(got), "from the second event of a partition")
}

func logWhatCannotBe(t *testing.T, store eventstream.Store) {
	log := someLog(t, store)
	last := log[5].Position
	lost := log[5]
	lost.ID = uuid.New()
	isErrorLike(t, onlyError(t, store.ReadLog(t.Context(), eventstream.LogOptions{From: eventstream.FromSequence(8)})),
		&eventstream.BeyondLogError{Field: "sequence", Value: 8, Last: 6}, "a sequence number that is not there")
	isErrorLike(t, onlyError(t, store.ReadLog(t.Context(), eventstream.LogOptions{From: eventstream.After(lost)})),
		&eventstream.BeyondLogError{Field: "event", Value: last, Last: last}, "an event that is not there")
	for what, opts := range map[string]eventstream.LogOptions{
		"limit":              {Limit: -1},
		"tenant":             {Filter: eventstream.LogFilter{Tenant: "a b"}},
		"category":           {Filter: eventstream.LogFilter{Category: "a-b"}},
		"partition":          {Filter: eventstream.LogFilter{Partitions: []int{32}}},
		"type":               {Filter: eventstream.LogFilter{Types: []eventstream.EventType{""}}},
		"sequence":           {From: eventstream.FromSequence(0)},
		"position":           {From: eventstream.FromPosition(0)},
		"the future":         {From: eventstream.FromTime(time.Now().Add(time.Hour))},
		"partition of start": {From: eventstream.FromPartitionSequences(map[int]int64{32: 1})},
		"number of start":    {From: eventstream.FromPartitionSequences(map[int]int64{1: 0})},
		"After, backwards":   {From: eventstream.After(log[1]), Backwards: true},
	} {
		isError(t, onlyError(t, store.ReadLog(t.Context(), opts)), eventstream.ErrInvalidValue, what)
	}
}
