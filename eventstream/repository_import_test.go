package eventstream

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

// filledChunk is a chunk of n events, all of them planned as new.
func filledChunk(t testing.TB, n int) *importChunk {
	t.Helper()
	c := newImportChunk()
	fillChunk(t, c, n)
	return c
}

func fillChunk(t testing.TB, c *importChunk, n int) {
	t.Helper()
	p := importPlan{importRun: &importRun{chunk: c}}
	for i := range n {
		e := Event{
			StreamID: StreamID(fmt.Sprintf("order-%d", i/10)), Type: "order.placed",
			Payload: []byte(`{"total": 12, "currency": "EUR"}`), OccurredAt: time.Unix(1_700_000_000, 0),
		}
		binary.BigEndian.PutUint64(e.ID[:], uint64(i+1))
		require.NoError(t, checkImported(&e))
		c.add(e)
		head := &c.heads[c.headOf[i]]
		head.next = max(head.next, 1)
		require.NoError(t, p.write(i, &c.events[i], head))
	}
}

// What is read does not depend on how much is asked for at a time, and has the frame that PostgreSQL wants.
func TestImportCopyIsTheSameInPartsOfAnySize(t *testing.T) {
	t.Parallel()
	chunk := filledChunk(t, 2000)
	whole, err := io.ReadAll(newCopyReader(chunk))
	require.NoError(t, err)
	byHalves, err := io.ReadAll(iotest.HalfReader(newCopyReader(chunk)))
	require.NoError(t, err)
	require.Equal(t, whole, byHalves)
	require.NoError(t, iotest.TestReader(newCopyReader(chunk), whole))
	require.Equal(t, copyHeader, string(whole[:len(copyHeader)]))
	require.Equal(t, []byte{0xff, 0xff}, whole[len(whole)-2:])
}

// A chunk that was emptied holds on to no event.
func TestImportChunkLetsGoOfItsEvents(t *testing.T) {
	t.Parallel()
	c := filledChunk(t, 50)
	c.reset()
	require.Empty(t, c.events)
	for _, e := range c.events[:50] {
		require.Equal(t, Event{}, e)
	}
	require.Empty(t, c.streams)
	require.Empty(t, c.rowOf)
	require.Equal(t, []int{0, 0, 0, 0, 0}, []int{len(c.headOf), len(c.heads), len(c.streamIDs), len(c.rows), c.bytes})
}

// A chunk is full at ten thousand events, or with the event that reaches the bound on content.
func TestImportChunkIsFullByEventsOrBytes(t *testing.T) {
	t.Parallel()
	c := filledChunk(t, MaxImportEvents-1)
	require.False(t, c.full())
	c.add(Event{StreamID: "order-0"})
	require.True(t, c.full())
	for _, part := range []func(*Event, []byte){
		func(e *Event, b []byte) { e.Payload = b },
		func(e *Event, b []byte) { e.Data = b },
		func(e *Event, b []byte) { e.Metadata = b },
	} {
		c = newImportChunk()
		e := Event{StreamID: "order-0"}
		part(&e, make([]byte, MaxImportBytes/2))
		c.add(e)
		require.False(t, c.full())
		c.add(e)
		require.True(t, c.full())
	}
}

func TestImportErrorNamesTheEvent(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	err := &ImportError{Index: 12, StreamID: "s", Version: 3, EventID: id, Err: &GapError{"s", 2, 3}}
	require.ErrorIs(t, err, ErrGap)
	for _, word := range []string{"event 12", "version 3", `"s"`, id.String(), "version 2 is missing"} {
		require.Contains(t, err.Error(), word)
	}
}

// BenchmarkImportClient is what Import does per event without a server: checks, plan and layout.
func BenchmarkImportClient(b *testing.B) {
	c := newImportChunk()
	b.ReportAllocs()
	for range b.N {
		c.reset()
		fillChunk(b, c, MaxImportEvents)
		_, err := io.Copy(io.Discard, newCopyReader(c))
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxImportEvents, "ns/event")
}
