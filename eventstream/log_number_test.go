package eventstream

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/db"
)

// Marks at the end of each hole, and at some of the events, number every event between them, upwards and downwards, whatever a filter
// or retention left out.
func TestNumbersByMarks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []LogEvent
		marks := []db.LogMarksRow{{}}
		position := int64(0)
		for i := range rapid.IntRange(1, 60).Draw(t, "events") {
			sequence := int64(i + 1)
			if hole := rapid.Int64Range(0, 3).Draw(t, "hole"); hole > 0 {
				position += hole
				marks = append(marks, db.LogMarksRow{Position: position, Sequence: sequence - 1})
			}
			position++
			all = append(all, LogEvent{Event: Event{Position: position}, Sequence: sequence})
			if rapid.IntRange(0, 9).Draw(t, "mark") == 0 {
				marks = append(marks, db.LogMarksRow{Position: position, Sequence: sequence})
			}
		}
		var want []LogEvent
		for _, e := range all {
			if rapid.Bool().Draw(t, "selected") {
				want = append(want, e)
			}
		}
		if len(want) == 0 {
			return
		}
		// As log_marks_between: the last mark below the first event, and all up to the last one.
		first := 0
		for i, m := range marks {
			if m.Position < want[0].Position {
				first = i
			}
		}
		marks = slices.DeleteFunc(marks[first:], func(m db.LogMarksRow) bool { return m.Position > want[len(want)-1].Position })
		backwards := rapid.Bool().Draw(t, "backwards")
		if backwards {
			slices.Reverse(want)
		}
		got := slices.Clone(want)
		for i := range got {
			got[i].Sequence = 0
		}
		numberByMarks(got, marks, backwards)
		require.Equal(t, want, got)
	})
}

// A page that goes on where the last one ended, without a hole, needs no marks.
func TestNumbersFollowOn(t *testing.T) {
	t.Parallel()
	at := func(positions ...int64) []LogEvent {
		events := make([]LogEvent, len(positions))
		for i, p := range positions {
			events[i].Position = p
		}
		return events
	}
	for _, c := range []struct {
		filter    LogFilter
		backwards bool
		last      place
		events    []LogEvent
		want      []int64 // nil: they do not follow on
	}{
		{LogFilter{}, false, place{10, 7}, at(11, 12, 13), []int64{8, 9, 10}},
		{LogFilter{}, false, place{10, 7}, at(11, 13), nil},
		{LogFilter{}, false, place{10, 7}, at(12, 13), nil},
		{LogFilter{}, false, place{}, at(1, 2), nil},
		{LogFilter{Category: "order"}, false, place{10, 7}, at(11, 12), nil},
		{LogFilter{}, true, place{10, 7}, at(9, 8, 7), []int64{6, 5, 4}},
		{LogFilter{}, true, place{10, 7}, at(9, 7), nil},
		{LogFilter{}, true, place{10, 7}, at(11, 12, 13), nil},
	} {
		n := numberer{filter: c.filter, backwards: c.backwards, last: c.last}
		require.Equal(t, c.want != nil, n.followsOn(c.events), "%+v", c)
		if c.want == nil {
			continue
		}
		n.count(c.events)
		for i, e := range c.events {
			require.Equal(t, c.want[i], e.Sequence)
		}
	}
}

// Which events of a page have to be asked for: the first of a partition, and all once some are missing in between.
func TestNumbersInPartitions(t *testing.T) {
	t.Parallel()
	page := []LogEvent{
		{Event: Event{Position: 5, PartitionID: 1}},
		{Event: Event{Position: 6, PartitionID: 2}},
		{Event: Event{Position: 7, PartitionID: 1}},
		{Event: Event{Position: 8, PartitionID: 3}},
	}
	known := func(countable bool) []partitionPlace {
		return []partitionPlace{1: {place{4, 40}, countable}, 2: {place{3, 30}, countable}}
	}
	for _, c := range []struct {
		n         numberer
		counting  bool
		asked     []int
		positions []int64
	}{
		{numberer{}, true, []int{0, 1, 3}, []int64{0, 0, 0}},
		{numberer{}, false, []int{0, 1, 2, 3}, []int64{0, 0, 0, 0}},
		{numberer{partitions: known(true)}, true, []int{3}, []int64{0}},
		{numberer{partitions: known(false)}, true, []int{0, 1, 3}, []int64{4, 3, 0}},
		{numberer{partitions: known(true)}, false, []int{0, 1, 2, 3}, []int64{4, 3, 4, 0}},
		{numberer{partitions: known(true), backwards: true}, false, []int{0, 1, 2, 3}, []int64{0, 0, 0, 0}},
	} {
		asked, params := c.n.uncounted(page, c.counting)
		require.Equal(t, c.asked, asked)
		require.Equal(t, c.positions, params.KnownPositions)
		require.Len(t, params.PartitionIds, len(asked))
		for i, at := range asked {
			require.Equal(t, page[at].Position, params.Positions[i])
		}
		if !c.counting {
			for _, last := range c.n.partitions {
				require.False(t, last.countable, "a later page must not count on from here")
			}
		}
	}
}
