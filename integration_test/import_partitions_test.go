package integration_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// A copy of a store puts streams where they were, also those that were placed by hand, in a second chunk and a second import too.
func TestImportKeepsPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := of("placed-1", anEvent(t, 1), anEvent(t, 2), anEvent(t, 3))
	for i := range events {
		events[i].PartitionID = 31
	}
	for _, count := range []int{2, 3} {
		_, err := b.repo.Import(b.ctx, sourceOf(events[:count]...), eventstream.KeepPartitions)
		require.NoError(t, err)
	}
	for _, e := range readAll(t, b.repo.Read(b.ctx, "placed-1", eventstream.ReadOptions{})) {
		require.Equal(t, 31, e.PartitionID)
	}
	requireAuditClean(t, b)
}

func TestImportRefusesAnotherPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := of("placed-1", anEvent(t, 1), anEvent(t, 2))
	events[0].PartitionID, events[1].PartitionID = 31, 30
	_, err := b.repo.Import(b.ctx, sourceOf(events...), eventstream.KeepPartitions)
	var mismatch *eventstream.PartitionMismatchError
	require.ErrorAs(t, err, &mismatch)
	require.Equal(t, []int{31, 30}, []int{mismatch.StreamPartition, mismatch.EventPartition})

	events[0].PartitionID = eventstream.DefaultPartitionCount
	_, err = b.repo.Import(b.ctx, sourceOf(events...), eventstream.KeepPartitions)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Zero(t, eventsIn(t, b))
}
