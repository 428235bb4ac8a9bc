package eventstream

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

func TestBudgetCountsWhatAnEventTakes(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, int(unsafe.Sizeof(LogEvent{})), readbudget.EventOverhead)
}

// A page ends before the event that is too much for it, but for the first one, and before one whose body the server left out.
func TestPagesAreCutByBytes(t *testing.T) {
	t.Parallel()
	row := func(payload, data, metadata []byte) [][]byte {
		row := make([][]byte, 12)
		row[payloadColumn], row[dataColumn], row[metadataColumn] = payload, data, metadata
		return row
	}
	kilo := make([]byte, 1024)
	c := pageCutter{limit: 4096}
	require.Equal(t, endOfRange, c.next(row(kilo, nil, kilo)))
	require.Equal(t, endOfRange, c.next(row(kilo, nil, nil)))
	require.Equal(t, endOfBytes, c.next(row(nullPayload(), kilo, nil)))
	require.Equal(t, endAtLarge, c.next(row(nil, nil, nil)))
	require.Equal(t, int64(3*1024+2*readbudget.EventOverhead), c.bytes)
	c = pageCutter{limit: 1}
	require.Equal(t, endAtLarge, c.next(row(nil, nil, kilo)))
	require.Equal(t, endOfRange, c.next(row(kilo, kilo, kilo)), "the first one, whatever its size")
	require.Equal(t, endOfBytes, c.next(row(nullPayload(), nil, nil)))
}

// nullPayload is the payload of an event that has only data.
func nullPayload() []byte { return []byte("null") }
