package importplan

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The store has stream "old" in partition 0 up to version 2, of the ids 1 and 2; stream "holed" up to 1, with version 3 waiting; and since its
// streams were looked at, stream "moved".
func TestImportPlanSaysWhatBecomesOfEachEvent(t *testing.T) {
	t.Parallel()
	there := map[uuid.UUID]Place{idOf(1): {"old", 1}, idOf(2): {"old", 2}, idOf(3): {"moved", 1}}
	for name, c := range map[string]struct {
		events  []Event
		rows    int
		refusal *Refusal
	}{
		"new, without versions":   {events: []Event{{Stream: "new", ID: idOf(10)}, {Stream: "new", ID: idOf(11)}}, rows: 2},
		"new, with versions":      {events: []Event{{Stream: "new", ID: idOf(10), Version: 1}, {Stream: "new", ID: idOf(11), Version: 2}}, rows: 2},
		"goes on":                 {events: []Event{{Stream: "old", ID: idOf(10), Version: 3}}, rows: 1},
		"there, and goes on":      {events: []Event{{Stream: "old", ID: idOf(2), Version: 2}, {Stream: "old", ID: idOf(10)}}, rows: 1},
		"there, by its id":        {events: []Event{{Stream: "old", ID: idOf(1)}}},
		"the same twice":          {events: []Event{{Stream: "new", ID: idOf(10)}, {Stream: "new", ID: idOf(10)}}, rows: 1},
		"leaves a hole":           {events: []Event{{Stream: "old", ID: idOf(10), Version: 5}}, refusal: &Refusal{Reason: Hole, FirstMissing: 3, Current: 5}},
		"leaves a hole of one":    {events: []Event{{Stream: "old", ID: idOf(10), Version: 4}}, refusal: &Refusal{Reason: Hole, FirstMissing: 3, Current: 4}},
		"behind a hole":           {events: []Event{{Stream: "holed", ID: idOf(10)}}, refusal: &Refusal{Reason: Hole, FirstMissing: 2, Current: 3}},
		"another at its version":  {events: []Event{{Stream: "old", ID: idOf(10), Version: 2}}, refusal: &Refusal{Reason: VersionTaken}},
		"at another version":      {events: []Event{{Stream: "old", ID: idOf(1), Version: 2}}, refusal: &Refusal{Reason: VersionTaken}},
		"of another stream":       {events: []Event{{Stream: "new", ID: idOf(1)}}, refusal: &Refusal{Reason: IDTaken, Found: Place{"old", 1}}},
		"moved meanwhile":         {events: []Event{{Stream: "moved", ID: idOf(3), Version: 1}}, refusal: &Refusal{Reason: Moved}},
		"of another tenant":       {events: []Event{{Stream: "old", ID: idOf(10), Tenant: "b"}}, refusal: &Refusal{Reason: OtherTenant, Tenant: "a"}},
		"of no partition":         {events: []Event{{Stream: "new", ID: idOf(10), Partition: 4}}, refusal: &Refusal{Reason: NoPartition}},
		"of a negative partition": {events: []Event{{Stream: "new", ID: idOf(10), Partition: -1}}, refusal: &Refusal{Reason: NoPartition}},
		"of another partition":    {events: []Event{{Stream: "old", ID: idOf(10), Partition: 3}}, refusal: &Refusal{Reason: OtherPartition, Partition: 0}},
		"two at one version": {
			events:  []Event{{Stream: "new", ID: idOf(10), Version: 1}, {Stream: "new", ID: idOf(11), Version: 1}},
			rows:    1,
			refusal: &Refusal{At: 1, Reason: VersionTaken, InChunk: true, Other: idOf(10)},
		},
		"one id in two streams": {
			events:  []Event{{Stream: "new", ID: idOf(10)}, {Stream: "newer", ID: idOf(10)}},
			rows:    1,
			refusal: &Refusal{At: 1, Reason: IDTaken, Found: Place{"new", 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chunk := NewChunk(mostEvents, mostBytes)
			for _, e := range c.events {
				chunk.Add(e)
			}
			for range 2 { // a second plan begins anew
				chunk.Begin(func(string) int32 { return 2 })
				findStreams(chunk)
				require.Equal(t, c.refusal, chunk.Plan(there, &Rules{DefaultTenant: "default", Partitions: 4, KeepPartitions: true}))
				require.Equal(t, c.rows, chunk.Rows())
			}
		})
	}
}

// findStreams tells the chunk what the store has of its streams.
func findStreams(c *Chunk) {
	for _, stream := range c.Streams() {
		switch stream {
		case "old":
			c.Find(stream, Head{Tenant: "a", Watermark: 2, Current: 2})
		case "holed":
			c.Find(stream, Head{Tenant: "a", Watermark: 1, Current: 3})
		}
	}
}

// Events without a tenant get that of their stream, and new streams the partition of their id unless the events name it.
func TestImportPlanCompletesWhatEventsDoNotSay(t *testing.T) {
	t.Parallel()
	chunk := NewChunk(mostEvents, mostBytes)
	chunk.Add(Event{Stream: "old", ID: idOf(1)})
	chunk.Add(Event{Stream: "new", ID: idOf(2), Partition: 3})
	chunk.Add(Event{Stream: "named", ID: idOf(3), Tenant: "b"})
	for keep, partition := range map[bool]int32{false: 2, true: 3} {
		chunk.Begin(func(string) int32 { return 2 })
		chunk.Find("old", Head{Tenant: "a", Partition: 0, Watermark: 2, Current: 2})
		require.Nil(t, chunk.Plan(nil, &Rules{DefaultTenant: "default", Partitions: 4, KeepPartitions: keep}))
		require.Equal(t, []string{"a", "default", "b"}, []string{chunk.heads[0].Tenant, chunk.heads[1].Tenant, chunk.heads[2].Tenant})
		require.Equal(t, partition, chunk.heads[1].Partition)
		require.Equal(t, []row{{0, 3}, {1, 1}, {2, 1}}, chunk.rows)
	}
	require.Equal(t, "named", chunk.LastStream())
}

// Only those events are looked for that may be there: of streams that have events, and at a version that is taken; or all.
func TestImportPlanAsksForDoubtfulEventsAlone(t *testing.T) {
	t.Parallel()
	chunk := NewChunk(mostEvents, mostBytes)
	chunk.Add(Event{Stream: "old", ID: idOf(1), Version: 2})
	chunk.Add(Event{Stream: "old", ID: idOf(2), Version: 3})
	chunk.Add(Event{Stream: "old", ID: idOf(3)})
	chunk.Add(Event{Stream: "new", ID: idOf(4)})
	chunk.Begin(func(string) int32 { return 0 })
	chunk.Find("old", Head{Watermark: 2, Current: 2})
	require.Equal(t, []string{idOf(1).String(), idOf(3).String()}, chunk.Doubtful(false))
	require.Len(t, chunk.Doubtful(true), 4)
	chunk.Begin(func(string) int32 { return 0 })
	require.Nil(t, chunk.Doubtful(false))
}
