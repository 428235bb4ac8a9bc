package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
)

// numberer fills in the sequence numbers of one reader's pages. It remembers where the last page ended: a reader of everything, or of
// whole partitions, counts on, and asks the database only for what it has not met before.
type numberer struct {
	filter    LogFilter
	backwards bool
	// off leaves numbers 0.
	off bool
	// last is the last event numbered; zero before the first.
	last place
	// partitions holds the last event numbered of each partition, by its id.
	partitions []partitionPlace
}

// place is the position of an event, and its number.
type place struct{ position, sequence int64 }

type partitionPlace struct {
	place
	// countable says that no event of the partition lies between this one and the end of the last page.
	countable bool
}

// number numbers a page, whose events are in the reader's order, and at or below a stable position that an earlier statement read.
func (n *numberer) number(ctx context.Context, r *Repository, h Handle, events []LogEvent) error {
	if len(events) == 0 || n.off {
		return nil
	}
	removed := false
	if n.followsOn(events) {
		n.count(events)
	} else {
		marks, err := r.queries.LogMarks(ctx, h, n.span(events))
		if err != nil {
			return err
		}
		numberByMarks(events, marks, n.backwards)
		removed = marks[0].Removed
	}
	if err := n.numberPartitions(ctx, r, h, events, n.filter.dense() && !removed); err != nil {
		return err
	}
	last := events[len(events)-1]
	n.last = place{last.Position, last.Sequence}
	return nil
}

// step is the distance of a number from that of the event before.
func (n *numberer) step() int64 {
	if n.backwards {
		return -1
	}
	return 1
}

// followsOn says that no position is left out between the last page and the end of this one: nothing was rolled back there and
// nothing removed, so numbers rise with positions.
func (n *numberer) followsOn(events []LogEvent) bool {
	distance := (events[len(events)-1].Position - n.last.position) * n.step()
	return n.filter.isZero() && n.last != place{} && distance == int64(len(events))
}

func (n *numberer) count(events []LogEvent) {
	for i := range events {
		events[i].Sequence = n.last.sequence + int64(i+1)*n.step()
	}
}

// span is the range of positions whose marks number a page; with the last page's end, since what was removed in between counts.
func (n *numberer) span(events []LogEvent) db.LogMarksParams {
	first, last := events[0].Position, events[len(events)-1].Position
	if n.last != (place{}) {
		first = n.last.position
	}
	return db.LogMarksParams{
		FromPosition: min(first, last), ToPosition: max(first, last),
		KnownPosition: n.last.position, KnownSequence: n.last.sequence,
	}
}

// numberByMarks numbers events in the whole log: from a mark on, positions and numbers rise in step.
func numberByMarks(events []LogEvent, marks []db.LogMarksRow, backwards bool) {
	at := 0
	for i := range events {
		e := &events[i]
		if backwards {
			e = &events[len(events)-1-i]
		}
		for at+1 < len(marks) && marks[at+1].Position < e.Position {
			at++
		}
		e.Sequence = marks[at].Sequence + e.Position - marks[at].Position
	}
}

// numberPartitions counts on in each partition, and asks for the numbers of those events that cannot be counted to: the first one
// of a partition, or each one if some between them are left out or removed.
func (n *numberer) numberPartitions(ctx context.Context, r *Repository, h Handle, events []LogEvent, counting bool) error {
	asked, params := n.uncounted(events, counting)
	var numbers []int64
	if len(asked) > 0 {
		var err error
		if numbers, err = r.queries.LogPartitionSequences(ctx, h, params); err != nil {
			return err
		}
	}
	for i := range events {
		e, last := &events[i], n.partition(events[i].PartitionID)
		e.PartitionSequence = last.sequence + n.step()
		if len(asked) > 0 && asked[0] == i {
			e.PartitionSequence = numbers[0]
			asked, numbers = asked[1:], numbers[1:]
		}
		*last = partitionPlace{place{e.Position, e.PartitionSequence}, counting}
	}
	return nil
}

// uncounted gives the indexes of events whose numbers have to be asked for, and the question.
func (n *numberer) uncounted(events []LogEvent, counting bool) (asked []int, params db.LogPartitionSequencesParams) {
	if !counting {
		for id := range n.partitions {
			n.partitions[id].countable = false
		}
	}
	first := map[int]bool{}
	for i := range events {
		e, last := &events[i], n.partition(events[i].PartitionID)
		if counting && (last.countable || first[e.PartitionID]) {
			continue
		}
		first[e.PartitionID] = true
		asked = append(asked, i)
		params.PartitionIds = append(params.PartitionIds, int32(e.PartitionID))
		params.Positions = append(params.Positions, e.Position)
		var known place
		if !n.backwards {
			known = last.place
		}
		params.KnownPositions = append(params.KnownPositions, known.position)
		params.KnownSequences = append(params.KnownSequences, known.sequence)
	}
	return asked, params
}

func (n *numberer) partition(id int) *partitionPlace {
	for len(n.partitions) <= id {
		n.partitions = append(n.partitions, partitionPlace{})
	}
	return &n.partitions[id]
}
