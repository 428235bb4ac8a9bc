package eventstream

import (
	"context"

	"github.com/gaplesspg/gapless/db"
)

// number fills in the sequence numbers of a page, whose events are in order of position, or against it, and at or below a stable
// position that an earlier statement read. dense says that no event of a partition is left out between two of the page.
func (r *Repository) number(ctx context.Context, h Handle, events []LogEvent, dense, backwards bool) error {
	if len(events) == 0 {
		return nil
	}
	first, last := events[0].Position, events[len(events)-1].Position
	if backwards {
		first, last = last, first
	}
	marks, err := r.queries.LogMarks(ctx, h, db.LogMarksParams{FromPosition: first, ToPosition: last})
	if err != nil {
		return err
	}
	numberByMarks(events, marks, backwards)
	if len(marks) > 0 && marks[0].Removed {
		dense = false
	}
	return r.numberPartitions(ctx, h, events, dense, backwards)
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

// numberPartitions asks for the number of the first event of each partition and counts on, or asks for all.
func (r *Repository) numberPartitions(ctx context.Context, h Handle, events []LogEvent, dense, backwards bool) error {
	var params db.LogPartitionSequencesParams
	asked := make([]int, 0, len(events))
	seen := map[int]bool{}
	for i := range events {
		if dense && seen[events[i].PartitionID] {
			continue
		}
		seen[events[i].PartitionID] = true
		asked = append(asked, i)
		params.PartitionIds = append(params.PartitionIds, int32(events[i].PartitionID))
		params.Positions = append(params.Positions, events[i].Position)
	}
	numbers, err := r.queries.LogPartitionSequences(ctx, h, params)
	if err != nil {
		return err
	}
	step := int64(1)
	if backwards {
		step = -1
	}
	next := make(map[int]int64, len(seen))
	for i, at := range asked {
		events[at].PartitionSequence = numbers[i]
		next[events[at].PartitionID] = numbers[i]
	}
	if !dense {
		return nil
	}
	for i := range events {
		events[i].PartitionSequence = next[events[i].PartitionID]
		next[events[i].PartitionID] += step
	}
	return nil
}
