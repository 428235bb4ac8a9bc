package importplan

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const mostEvents, mostBytes = 1000, 16 << 20

// filledChunk is a chunk of n events, ten to a stream, all of them planned as new.
func filledChunk(t testing.TB, n int) *Chunk {
	t.Helper()
	c := NewChunk(mostEvents, mostBytes)
	for i := range n {
		e := Event{
			Stream: fmt.Sprintf("order-%d", i/10), Type: "order.placed",
			Payload: []byte(`{"total": 12, "currency": "EUR"}`), OccurredAt: time.Unix(1_700_000_000, 0),
		}
		binary.BigEndian.PutUint64(e.ID[:], uint64(i+1))
		c.Add(e)
	}
	c.Begin(func(string) int32 { return 7 })
	require.Nil(t, c.Plan(nil, &Rules{DefaultTenant: "default", Partitions: 32}))
	require.Equal(t, n, c.Rows())
	return c
}

// What is read does not depend on how much is asked for at a time, and has the frame that PostgreSQL wants.
func TestImportCopyIsTheSameInPartsOfAnySize(t *testing.T) {
	t.Parallel()
	for _, events := range []int{0, 1, 2000} {
		chunk := filledChunk(t, events)
		whole, err := io.ReadAll(chunk.Copy())
		require.NoError(t, err)
		byHalves, err := io.ReadAll(iotest.HalfReader(chunk.Copy()))
		require.NoError(t, err)
		require.Equal(t, whole, byHalves)
		require.NoError(t, iotest.TestReader(chunk.Copy(), whole))
		require.Equal(t, copyHeader, string(whole[:len(copyHeader)]))
		require.Equal(t, []byte{0xff, 0xff}, whole[len(whole)-2:])
		require.Equal(t, events > 0, len(whole) > len(copyHeader)+2)
	}
}

// A chunk that was emptied holds on to no event.
func TestImportChunkLetsGoOfItsEvents(t *testing.T) {
	t.Parallel()
	c := filledChunk(t, 50)
	c.Reset()
	require.Empty(t, c.events)
	for _, e := range c.events[:50] {
		require.Equal(t, Event{}, e)
	}
	require.Empty(t, c.streams)
	require.Empty(t, c.rowOf)
	require.Equal(t, []int{0, 0, 0, 0, 0}, []int{len(c.headOf), len(c.heads), len(c.streamIDs), len(c.rows), c.bytes})
	for _, id := range c.streamIDs[:5] {
		require.Empty(t, id)
	}
}

// A chunk is full at so many events, or with the event that reaches the bound on content.
func TestImportChunkIsFullByEventsOrBytes(t *testing.T) {
	t.Parallel()
	c := filledChunk(t, mostEvents-1)
	require.False(t, c.Full())
	c.Add(Event{Stream: "order-0"})
	require.True(t, c.Full())
	for _, part := range []func(*Event, []byte){
		func(e *Event, b []byte) { e.Payload = b },
		func(e *Event, b []byte) { e.Data = b },
		func(e *Event, b []byte) { e.Metadata = b },
	} {
		c = NewChunk(mostEvents, mostBytes)
		e := Event{Stream: "order-0"}
		part(&e, make([]byte, mostBytes/2))
		c.Add(e)
		require.False(t, c.Full())
		c.Add(e)
		require.True(t, c.Full())
	}
}

// idOf is the id of an event by its number.
func idOf(n byte) uuid.UUID { return uuid.UUID{15: n} }
