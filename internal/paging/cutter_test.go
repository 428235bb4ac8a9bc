package paging

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/internal/readbudget"
)

// A page ends before the event that is too much for it, but for the first one, and before one whose body the server left out.
func TestPagesAreCutByBytes(t *testing.T) {
	t.Parallel()
	row := func(payload, data, metadata []byte) [][]byte {
		row := make([][]byte, 12)
		row[payloadColumn], row[dataColumn], row[metadataColumn] = payload, data, metadata
		return row
	}
	kilo := make([]byte, 1024)
	c := NewCutter(4096)
	require.Equal(t, EndOfRange, c.Next(row(kilo, nil, kilo)))
	require.Equal(t, EndOfRange, c.Next(row(kilo, nil, noMetadata())))
	require.Equal(t, EndOfBytes, c.Next(row(nullPayload(), kilo, noMetadata())))
	require.Equal(t, EndAtLarge, c.Next(row(nil, nil, noMetadata())))
	require.Equal(t, EndAtLarge, c.Next(row(nullPayload(), nil, nil)))
	require.Equal(t, int64(3*1024+2*readbudget.EventOverhead+len(noMetadata())), c.bytes)
	c = NewCutter(1)
	require.Equal(t, EndAtLarge, c.Next(row(nil, nil, kilo)))
	require.Equal(t, EndOfRange, c.Next(row(kilo, kilo, kilo)), "the first one, whatever its size")
	require.Equal(t, EndOfBytes, c.Next(row(nullPayload(), nil, noMetadata())))
}

// nullPayload is the payload of an event that has only data.
func nullPayload() []byte { return []byte("null") }

// noMetadata is the metadata of an event that was given none.
func noMetadata() []byte { return []byte("{}") }
