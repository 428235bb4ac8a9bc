package eventstream

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/importplan"
)

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
	run := importRun{
		filling: &importChunk{Chunk: importplan.NewChunk(MaxImportEvents+1, MaxImportBytes)}, // which is not written
		rules:   importplan.Rules{DefaultTenant: string(DefaultTenant), Partitions: DefaultPartitionCount},
	}
	events := importedEvents(MaxImportEvents)
	b.ReportAllocs()
	for range b.N {
		run.filling.Reset()
		for _, e := range events {
			require.NoError(b, run.take(b.Context(), e))
		}
		run.filling.Begin(func(stream string) int32 { return int32(partitionOf(StreamID(stream), DefaultPartitionCount).ID) })
		require.Nil(b, run.filling.Plan(nil, &run.rules))
		_, err := io.Copy(io.Discard, run.filling.Copy())
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/MaxImportEvents, "ns/event")
}

// importedEvents are n events of a source, ten to a stream.
func importedEvents(n int) []Event {
	events := make([]Event, n)
	for i := range events {
		events[i] = Event{
			StreamID: StreamID(fmt.Sprintf("order-%d", i/10)), Type: "order.placed",
			Payload: []byte(`{"total": 12, "currency": "EUR"}`), OccurredAt: time.Unix(1_700_000_000, 0),
		}
		binary.BigEndian.PutUint64(events[i].ID[:], uint64(i+1))
	}
	return events
}
