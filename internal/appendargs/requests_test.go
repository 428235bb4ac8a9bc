package appendargs

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var (
	id  = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	now = time.Unix(1_700_000_000, 0)
)

// Columns that no event or request uses are not sent.
func TestAppendArgsLeaveOutWhatNothingUses(t *testing.T) {
	t.Parallel()
	r := NewRequests(2, 2, 2)
	for unit := range 2 {
		r.Add(unit+1, "order-1", -1, "", NoPartition, 1)
		r.Events.Add(id, "order.placed", json.RawMessage("{}"), nil, nil, now)
	}
	p := r.Params()
	require.Nil(t, p.Data)
	require.Nil(t, p.Metadata)
	require.Nil(t, p.TenantIds)
	require.Nil(t, p.PartitionIds)
	require.Nil(t, p.Units, "as many as requests")
	require.False(t, p.Atomic)
	require.Equal(t, []string{id.String(), id.String()}, p.EventIds)
	require.Equal(t, []int32{1, 1}, p.EventCounts)
}

// What one of them uses has a place for each.
func TestAppendArgsAreAsLongAsTheOthers(t *testing.T) {
	t.Parallel()
	r := NewRequests(3, 3, 2)
	r.Add(1, "a", 0, "", NoPartition, 1)
	r.Events.Add(id, "t", nil, nil, nil, now)
	r.Add(1, "b", 1, "x", NoPartition, 1)
	r.Events.Add(id, "t", nil, []byte{1}, nil, now)
	r.Add(2, "c", 2, "", 0, 1)
	r.Events.Add(id, "t", nil, nil, json.RawMessage(`{"a":1}`), now)
	p := r.Params()
	require.Equal(t, []string{"", "x", ""}, p.TenantIds)
	require.Equal(t, []int32{-1, -1, 0}, p.PartitionIds)
	require.Equal(t, []int32{1, 1, 2}, p.Units)
	require.Equal(t, [][]byte{nil, {1}, nil}, p.Data)
	require.Equal(t, []json.RawMessage{json.RawMessage("{}"), json.RawMessage("{}"), json.RawMessage(`{"a":1}`)}, p.Metadata)
	require.Equal(t, []json.RawMessage{json.RawMessage("null"), json.RawMessage("null"), json.RawMessage("null")}, p.Payloads)
	one := NewRequests(2, 2, 1)
	require.True(t, one.Params().Atomic)
	require.Nil(t, one.Params().Units)
}

// Each column is one allocation, whatever the number of events; the ids are one each.
func TestAppendArgsAllocateByColumn(t *testing.T) {
	const events = 100
	allocs := testing.AllocsPerRun(100, func() {
		r := NewRequests(1, events, 1)
		r.Add(1, "order-1", -1, "", NoPartition, events)
		for range events {
			r.Events.Add(id, "order.placed", jsonNull, nil, nil, now)
		}
		if len(r.Params().EventIds) != events {
			panic("an event is missing")
		}
	})
	require.LessOrEqual(t, allocs, float64(events+7))
}
